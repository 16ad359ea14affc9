"""Pages that an application can mount in any framework, beside the endpoints. They know no framework.

```python
auth = Keyturn(manager, login=check_password, sessions_page=SessionsPage(sign_in_url="/sign-in"))
```
"""

from __future__ import annotations

try:
    import babel as _babel
    import jinja2 as _jinja2
    import ua_parser as _ua_parser
except ImportError as error:
    raise ImportError("keyturn.pages needs its extra: pip install 'keyturn[pages]'") from error

from keyturn.pages.devices import device_from
from keyturn.pages.languages import ENGLISH, GERMAN, TEXTS
from keyturn.pages.sessions import SessionsPage, environment
from keyturn.pages.texts import Texts

del _babel, _jinja2, _ua_parser

__all__ = ["ENGLISH", "GERMAN", "SessionsPage", "TEXTS", "Texts", "device_from", "environment"]
