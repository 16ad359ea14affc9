"""Keyturn for Litestar: read, ask, write. It decides nothing.

```python
auth = Keyturn(manager, login=check_password)


@get("/orders", guards=[auth.require("orders:read")])
async def orders(principal: NamedDependency[Principal]) -> dict[str, str]:
    return {"user": principal.user_id}


app = Litestar([orders], plugins=[auth])
```

The guards of all layers must be met. `opt={"exclude_from_auth": True}` frees a route from what outer layers
and paths ask; what its own guards ask stays. `Request[Principal, tuple[str, ...], State]` has the principal
in `user` and the scopes of its token in `auth`. WebSockets of all kinds close when their session ends.
"""

from __future__ import annotations

from importlib.util import find_spec

if find_spec("litestar") is None:
    raise ImportError("keyturn.litestar needs its extra: pip install 'keyturn[litestar]'")

from keyturn.litestar.guards import Requirement
from keyturn.litestar.plugin import Keyturn

__all__ = ["Keyturn", "Requirement"]
