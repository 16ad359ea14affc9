"""Renders what each operation costs on each store as tables into round-trips.md, from round-trips.toml.

It knows the data and the document, and measures nothing: tests/stores/test_round_trips.py does.
`python docs/render_round_trips.py` writes; a test calls `rendered()` and compares.
"""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Final

from rendering import with_part, write

FOLDER: Final = Path(__file__).parent / "explanation"
DOCUMENT: Final = FOLDER / "round-trips.md"
DATA: Final = FOLDER / "round-trips.toml"
BEGIN: Final = "<!-- rendered from round-trips.toml by docs/render_round_trips.py: do not edit by hand -->\n"
END: Final = "<!-- end of what is rendered -->\n"
IN_PROCESS: Final = "SQLite"  # nothing goes over a wire


def documents() -> list[Path]:
    """Give the one document of which a part is rendered."""
    return [DOCUMENT]


def rendered(document: Path) -> str:
    """Give the document as it should be.

    Args:
        document: Which.
    """
    counts = tomllib.loads(DATA.read_text(encoding="utf-8"))
    part = f"{_numbers(counts)}\n{_statements(counts)}"
    return with_part(document.read_text(encoding="utf-8"), BEGIN, END, part)


def _numbers(counts: dict[str, dict[str, str]]) -> str:
    stores = list(next(iter(counts.values())))
    rows = [
        f"| {operation} | {' | '.join(map(_cell, stores, of.values()))} |" for operation, of in counts.items()
    ]
    return _table(["operation", *stores], rows)


def _cell(store: str, turns: str) -> str:
    statements = len(turns.replace("|", " ").split())
    round_trips = 0 if store == IN_PROCESS or not turns else turns.count("|") + 1
    return f"{statements} / {round_trips}"


def _statements(counts: dict[str, dict[str, str]]) -> str:
    rows = []
    for operation, of in counts.items():
        stores_of: dict[str, list[str]] = {}
        for store, turns in of.items():
            stores_of.setdefault(turns.replace("|", "·") or "nothing", []).append(store)
        rows += [f"| {operation} | {', '.join(stores)} | {turns} |" for turns, stores in stores_of.items()]
    return _table(["operation", "on", "sends"], rows)


def _table(head: list[str], rows: list[str]) -> str:
    return "\n".join([f"| {' | '.join(head)} |", "| --- " * len(head) + "|", *rows]) + "\n"


if __name__ == "__main__":
    write(documents(), rendered)
