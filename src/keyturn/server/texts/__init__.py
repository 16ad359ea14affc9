"""The words of the server's pages, one catalogue per language. It knows no page.

A text is found by its place in the catalogue, such as `page.sign_in`; what stands in braces is filled in. The
pages' scripts get the part `script` of the same catalogue, and fill in the same way.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final

DEFAULT: Final = "en"


class Texts:
    """The texts of one language."""

    def __init__(self, language: str, catalogue: Mapping[str, Any]) -> None:
        """Take a catalogue: texts, and parts of the same kind."""
        self.language = language
        self._catalogue = catalogue

    def say(self, place: str, **values: object) -> str:
        """Give a text, with values in it.

        Raises:
            KeyError: There is none of that name.

        Examples:
            >>> Texts("en", {"page": {"hello": "Hello, {name}!"}}).say("page.hello", name="Ann")
            'Hello, Ann!'
        """
        return str(self._find(place)).format_map(values)

    def part(self, place: str) -> Mapping[str, Any]:
        """Give a part of the catalogue as it is."""
        found: Mapping[str, Any] = self._find(place)
        return found

    def _find(self, place: str) -> Any:  # noqa: ANN401 - a text or a part
        found: Any = self._catalogue
        for name in place.split("."):
            found = found[name]
        return found


@cache
def texts_in(language: str = DEFAULT) -> Texts:
    """Give the texts of a language that there is a catalogue of."""
    return Texts(language, tomllib.loads((files(__name__) / f"{language}.toml").read_text("utf-8")))
