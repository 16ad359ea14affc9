"""Puts the files of the examples into the tutorials, so that what is shown runs. It knows no framework.

A tutorial says `<!-- file: examples/fastapi/app.py -->` before a code block; the block becomes that file, and
its name in the reader's folder stands above. Run this after an example has changed; the tests compare.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from rendering import write

ROOT: Final = Path(__file__).parents[1]
TUTORIALS: Final = Path(__file__).parent / "tutorials"
LANGUAGES: Final = {".py": "python", ".html": "html", ".js": "js", ".toml": "toml", ".ini": "ini"}
_SHOWN: Final = re.compile(
    r"^(?:\*\*`[^`\n]+`\*\*\n\n)?<!-- file: (examples/[\w-]+/(\S+)) -->\n```\w+\n.*?^```$",
    re.MULTILINE | re.DOTALL,
)


def documents() -> list[Path]:
    """Give all tutorials."""
    return sorted(TUTORIALS.glob("*.md"))


def rendered(document: Path) -> str:
    """Give a tutorial with the files of today.

    Args:
        document: The tutorial.
    """

    def show(found: re.Match[str]) -> str:
        path = ROOT / found[1]
        content = path.read_text("utf-8").rstrip()
        return f"**`{found[2]}`**\n\n<!-- file: {found[1]} -->\n```{LANGUAGES[path.suffix]}\n{content}\n```"

    return _SHOWN.sub(show, document.read_text("utf-8"))


if __name__ == "__main__":
    write(documents(), rendered)
