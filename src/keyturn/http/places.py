"""Where the endpoints of an application are. It knows no endpoint's content.

All are below one prefix, but for the public keys and, where an application wants it so, the page of a user's
sessions. That page lives where the refresh cookie reaches, because this says whose it is; a path that the
cookie does not reach leads there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

JWKS_PATH: Final = "/.well-known/jwks.json"


@dataclass(frozen=True, slots=True)
class Places:
    """The paths that the endpoints answer.

    Attributes:
        prefix: Below which they are.
        page: Where the application wants the page of a user's sessions; None: there is no page.
        home: Where that page lives.
    """

    prefix: str
    page: str | None = None
    home: str | None = None

    @property
    def outside(self) -> tuple[str, ...]:
        """The paths that are not below the prefix; that of the public keys is the first."""
        found = (JWKS_PATH, self.page)
        return tuple(path for path in found if path is not None and not is_below(path, self.prefix))

    def hold(self, path: str) -> bool:
        """Tell whether the endpoints answer a path, if only by saying that nothing is there."""
        return is_below(path, self.prefix) or path in self.outside


def is_below(path: str, base: str) -> bool:
    """Tell whether a path is another one or below it, as a cookie's path is compared (RFC 6265bis, 5.1.4).

    Examples:
        >>> is_below("/auth/me", "/auth"), is_below("/authors", "/auth"), is_below("/authors", "/")
        (True, False, True)
    """
    return f"{path}/".startswith(f"{base.rstrip('/')}/")
