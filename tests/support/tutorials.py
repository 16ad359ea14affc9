"""What a tutorial tells its reader to do, read from its text. It knows no framework.

A comment before a fenced block says what the block is: `<!-- run -->` starts the application,
`<!-- try: 200 401 -->` asks it and names the statuses that curl prints, `<!-- test: 3 passed -->` runs its
tests, `<!-- set up -->` comes before all of them. `<!-- file: path -->` shows a file of the example.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.support.sources import ROOT

EXAMPLES: Final = ROOT / "examples"
TUTORIALS: Final = ROOT / "docs" / "tutorials"
DOCUMENTED_PORT: Final = "8000"
_DIRECTIVE: Final = re.compile(
    r"^<!-- (set up|run|try|test|file)(?:: ([^\n]*?))? -->\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class Step:
    """One block that a reader acts on.

    Attributes:
        kind: What is done with it.
        promise: What the tutorial says comes of it.
        text: The block.
    """

    kind: str
    promise: str
    text: str


@dataclass(frozen=True, slots=True)
class Tutorial:
    """A tutorial and its example.

    Attributes:
        name: Of both.
        steps: What the reader does, in order.
    """

    name: str
    steps: tuple[Step, ...]

    @property
    def folder(self) -> Path:
        """Where the example is."""
        return EXAMPLES / self.name

    def of(self, kind: str) -> list[Step]:
        """Give the steps of a kind."""
        return [step for step in self.steps if step.kind == kind]


def tutorials() -> list[Tutorial]:
    """Read all tutorials."""
    return [
        Tutorial(path.stem, tuple(Step(*found) for found in _DIRECTIVE.findall(path.read_text("utf-8"))))
        for path in sorted(TUTORIALS.glob("*.md"))
    ]
