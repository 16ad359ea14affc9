"""The browser client as one file, for pages without a build. It knows no request but for it, and no token.

`js/` makes the file (`npm run build` there); it is committed, so that nobody who installs Keyturn needs Node.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Final

from keyturn.http.messages import HttpRequest
from keyturn.http.replies import cacheable_reply
from keyturn.http.site import Answer, Site

CLIENT_PATH: Final = "/keyturn.js"  # below the prefix
_KIND: Final = "text/javascript; charset=utf-8"
_MAX_AGE: Final = 3600  # seconds; a page that is open keeps its version anyway
CONTENT: Final = files("keyturn.http").joinpath("static", "keyturn.js").read_bytes()


def client(_: Site, request: HttpRequest) -> Answer:
    """`GET /auth/keyturn.js`: the same for everybody."""
    return cacheable_reply(CONTENT, _KIND, _MAX_AGE, request.values("if-none-match"))
