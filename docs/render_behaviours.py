"""Renders what peers do in each situation as a table into comparison.md, from behaviours.json.

It knows the data and the document, and asks no peer: benchmarks/behaviours.py does.
`python docs/render_behaviours.py` writes; a test compares.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from rendering import with_part, write

FOLDER: Final = Path(__file__).parent / "explanation"
DOCUMENT: Final = FOLDER / "comparison.md"
DATA: Final = FOLDER / "behaviours.json"
BEGIN: Final = "<!-- rendered from behaviours.json by docs/render_behaviours.py: do not edit by hand -->\n"
END: Final = "<!-- end of what is rendered -->\n"
SITUATIONS: Final = {
    "race": "six refreshes of one token at the same moment",
    "lost": "the answer is lost, and the client asks again at once",
    "spent": "a spent token turns up when its successor has been used",
    "step": "a thief redeems a token together with its owner; both go on together",
    "out": "an access token after the sign-out",
    "rows": "rows that ten refreshes add",
}


def documents() -> list[Path]:
    """Give the one document of which a part is rendered."""
    return [DOCUMENT]


def rendered(document: Path) -> str:
    """Give the document as it should be.

    Args:
        document: Which.
    """
    told = json.loads(DATA.read_text(encoding="utf-8"))
    part = f"{_table(told['findings'])}\n{_versions(told)}"
    return with_part(document.read_text(encoding="utf-8"), BEGIN, END, part)


def _table(findings: dict[str, dict[str, str]]) -> str:
    rows = [f"| | {' | '.join(SITUATIONS.values())} |", "| --- " * (len(SITUATIONS) + 1) + "|"]
    rows += [
        f"| **{peer}** | {' | '.join(found[situation] for situation in SITUATIONS)} |"
        for peer, found in findings.items()
    ]
    return "\n".join(rows) + "\n"


def _versions(told: dict[str, dict[str, str]]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in told["versions"].items())
    return f"Found on {told['date']} with {versions}.\n"


if __name__ == "__main__":
    write(documents(), rendered)
