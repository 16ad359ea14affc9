"""The words of the server's pages, one catalogue per language. It knows no page.

A text is found by its place in the catalogue, such as `page.sign_in`; what stands in braces is filled in. The
pages' scripts get the part `script` of the same catalogue, and fill in the same way.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Any, Final, cast

from keyturn.pages.languages import choose
from keyturn.server.words import span

LANGUAGES: Final = ("en", "de")
"""The languages that there is a catalogue of; the first is for everybody else."""


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
        found = self._find(place)
        if not isinstance(found, str):
            raise KeyError(place)
        return found.format_map(values)

    def part(self, place: str) -> Mapping[str, Any]:
        """Give a part of the catalogue as it is.

        Raises:
            KeyError: There is none of that name.
        """
        found = self._find(place)
        if not isinstance(found, Mapping):
            raise KeyError(place)
        return cast("Mapping[str, Any]", found)

    def span(self, seconds: float) -> str:
        """Write a span in words.

        Examples:
            >>> Texts("en", {}).span(900), Texts("de", {}).span(86_400)
            ('15 minutes', '1 Tag')
        """
        return span(seconds, self.language)

    def _find(self, place: str) -> object:
        found: object = self._catalogue
        for name in place.split("."):
            if not isinstance(found, Mapping):
                raise KeyError(place)
            found = cast("Mapping[str, object]", found)[name]
        return found


@cache
def texts_in(language: str) -> Texts:
    """Give the texts of a language that there is a catalogue of."""
    return Texts(language, tomllib.loads((files(__name__) / f"{language}.toml").read_text("utf-8")))


def texts_for(accepted: str | None) -> Texts:
    """Give the texts for a reader, by what `Accept-Language` says (RFC 9110, section 12.5.4)."""
    return texts_in(choose(accepted, LANGUAGES))
