"""How many attempts in how much time, as text. It knows no request and no cache."""

from __future__ import annotations

import re
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from keyturn.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

_SECONDS: Final[Mapping[str, int]] = MappingProxyType({"s": 1, "m": 60, "h": 3600, "d": 86400})
_RATE: Final = re.compile(
    r"\s*([0-9]{1,9})\s*/\s*(s|sec|second|m|min|minute|h|hour|d|day)\s*", re.ASCII | re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so much time.

    Attributes:
        most: How many.
        period: In how many seconds.
    """

    most: int
    period: int

    @classmethod
    def read(cls, text: object) -> Rate | None:
        """Read a rate as throttles of Django REST framework have it; None for none.

        Raises:
            ConfigurationError: It is no rate.

        Examples:
            >>> Rate.read("10/minute") == Rate.read("10/m") == Rate(10, 60)
            True
        """
        if text is None:
            return None
        found = _RATE.fullmatch(text) if isinstance(text, str) else None
        if found is None or int(found[1]) < 1:
            raise ConfigurationError(f"a rate must be like '10/minute', or None, not {text!r}")
        return cls(int(found[1]), _SECONDS[found[2][0].lower()])
