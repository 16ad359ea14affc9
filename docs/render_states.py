"""Renders the transition table as Markdown and Mermaid into rotation.md, from the code itself.

It knows the table and the document, and decides nothing. `python docs/render_states.py` writes; a test calls
`rendered()` and compares, so that document and code cannot differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keyturn._core.decide import RULES

DOCUMENT: Final = Path(__file__).parent / "explanation" / "rotation.md"
BEGIN: Final = (
    "<!-- rendered from keyturn/_core/decide.py by docs/render_states.py: do not edit by hand -->\n"
)
END: Final = "<!-- end of what is rendered -->\n"


def rendered() -> str:
    """Give the document as it should be."""
    before, _, rest = DOCUMENT.read_text(encoding="utf-8").partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n{_table()}\n{_diagram()}\n{END}{after}"


def _table() -> str:
    rows = ["| case | when (the first that matches) | then |", "| --- | --- | --- |"]
    rows += [f"| {rule.case} | {rule.when} | {rule.then} |" for rule in RULES]
    return "\n".join(rows) + "\n"


def _diagram() -> str:
    lines = ["```mermaid", "stateDiagram-v2", '    state "session, generation g" as g']
    lines += [
        '    state "session, generation g + 1" as next',
        "    [*] --> g: sign-in",
        "    g --> ended: revoked",
    ]
    arrows = {
        "same": "g --> g",
        "next generation": "g --> next",
        "ended": "g --> ended",
        "stays ended": "ended --> ended",
    }
    for state, arrow in arrows.items():
        cases = ", ".join(rule.case for rule in RULES if rule.goes_to == state)
        lines.append(f"    {arrow}: case {cases}")
    lines += ["    ended --> [*]: purged after the absolute end", "```"]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(), encoding="utf-8")
