"""The HTTP suite: the rules that every framework's leaf keeps, over a real server. It knows no framework.

A framework is supported when a subclass with a fixture passes:

```python
import pytest

from keyturn.testing.http_suite import HttpConformance
from my_package import MyFramework


class TestMyFramework(HttpConformance):
    @pytest.fixture(scope="class")
    @classmethod
    def framework(cls) -> MyFramework:
        return MyFramework()
```

where `MyFramework` has one method, `serve`: see `Framework`. It needs `keyturn[testing,pages]`.
"""

from __future__ import annotations

from keyturn.testing._http.bad_input import BadInputRules
from keyturn.testing._http.guards import GuardRules
from keyturn.testing._http.origins import OriginRules
from keyturn.testing._http.pages import PageRules
from keyturn.testing._http.people import PeopleRules
from keyturn.testing._http.sessions import SessionRules
from keyturn.testing._http.sharing import SharedWorld, shared
from keyturn.testing._http.sockets import SocketRules
from keyturn.testing._http.tokens import TokenRules
from keyturn.testing._http.world import (
    EXEMPT,
    FRESH,
    PATHS,
    REQUIRE,
    SESSIONS_PAGE,
    Framework,
    Throttle,
    World,
    away,
    check_password,
)

__all__ = [
    "EXEMPT",
    "FRESH",
    "Framework",
    "HttpConformance",
    "PATHS",
    "REQUIRE",
    "SESSIONS_PAGE",
    "SharedWorld",
    "SocketConformance",
    "Throttle",
    "World",
    "away",
    "check_password",
    "shared",
]


class HttpConformance(
    TokenRules, SessionRules, OriginRules, BadInputRules, GuardRules, PeopleRules, PageRules
):
    """Every rule of the HTTP layer."""


class SocketConformance(HttpConformance, SocketRules):
    """The same and the rules of WebSockets, for frameworks that have them."""
