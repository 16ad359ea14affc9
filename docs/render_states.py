"""Renders the transition table into rotation.md, and its states into states.svg, from the code itself.

It knows the table and the documents, and decides nothing. `python docs/render_states.py` writes; a test calls
`rendered()` and compares, so that documents and code cannot differ.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

from keyturn._core.decide import RULES
from rendering import with_part, write

DOCUMENT: Final = Path(__file__).parent / "explanation" / "rotation.md"
DIAGRAM: Final = Path(__file__).parent / "states.svg"
BEGIN: Final = (
    "<!-- rendered from keyturn/_core/decide.py by docs/render_states.py: do not edit by hand -->\n"
)
END: Final = "<!-- end of what is rendered -->\n"


def documents() -> list[Path]:
    """Give the documents that are rendered, whole or in part."""
    return [DOCUMENT, DIAGRAM]


def rendered(document: Path) -> str:
    """Give a document as it should be.

    Args:
        document: Which.
    """
    if document == DIAGRAM:
        return SVG.format(**{state.replace(" ", "_"): _cases(state) for state in STATES})
    part = f"{_table()}\n![{_words()}](../states.svg)\n"
    return with_part(document.read_text(encoding="utf-8"), BEGIN, END, part)


def _table() -> str:
    rows = ["| case | when (the first that matches) | then |", "| --- | --- | --- |"]
    rows += [f"| {rule.case} | {rule.when} | {rule.then} |" for rule in RULES]
    return "\n".join(rows) + "\n"


def _words() -> str:
    moves = "; ".join(f"{_cases(state)} {meaning}" for state, meaning in STATES.items())
    return f"The states of a session: {moves}; a revocation ends it, too"


def _cases(state: str) -> str:
    cases = [rule.case for rule in RULES if rule.goes_to == state]
    return f"case{'s' if len(cases) > 1 else ''} {', '.join(cases)}"


# Where a rule leads, and what that means.
STATES: Final = {
    "same": "leave it as it is",
    "next generation": "rotate it to the next generation",
    "ended": "end it",
    "stays ended": "leaves it ended",
}
SVG: Final = """\
<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 860 330" role="img" aria-labelledby="t"
 font-family="system-ui, sans-serif" font-size="14">
<title id="t">The states of a session, and the cases of the table that lead from one to another</title>
<style>
.bg{{fill:#fff}}.ink{{fill:#1f2933}}.line{{stroke:#52606d;fill:none;stroke-width:1.6}}.tip{{fill:#52606d}}
.row{{fill:#e6f0ff;stroke:#2563eb;stroke-width:1.6}}.end{{fill:#ffe9e6;stroke:#c2341d;stroke-width:1.6}}
@media (prefers-color-scheme: dark){{
.bg{{fill:#10161d}}.ink{{fill:#e6edf3}}.line{{stroke:#9fb0c0}}.tip{{fill:#9fb0c0}}
.row{{fill:#14284a;stroke:#6ea8ff}}.end{{fill:#43150f;stroke:#ff8f7d}}}}
</style>
<defs><marker id="a" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">
<path d="M0 0 10 5 0 10z" class="tip"/></marker></defs>
<rect class="bg" width="860" height="330" rx="10"/>
<text class="ink" x="62" y="136" text-anchor="middle">sign in</text>
<path class="line" d="M24 146H194" marker-end="url(#a)"/>
<rect class="row" x="200" y="116" width="200" height="60" rx="8"/>
<text class="ink" x="300" y="151" text-anchor="middle">session, generation g</text>
<path class="line" d="M250 116C230 56 370 56 350 114" marker-end="url(#a)"/>
<text class="ink" x="300" y="54" text-anchor="middle">{same}</text>
<path class="line" d="M400 146H574" marker-end="url(#a)"/>
<text class="ink" x="487" y="136" text-anchor="middle">{next_generation}</text>
<rect class="row" x="580" y="116" width="220" height="60" rx="8"/>
<text class="ink" x="690" y="151" text-anchor="middle">session, generation g + 1</text>
<path class="line" d="M300 176V254" marker-end="url(#a)"/>
<text class="ink" x="312" y="220">{ended}; revoked</text>
<rect class="end" x="240" y="260" width="120" height="46" rx="8"/>
<text class="ink" x="300" y="288" text-anchor="middle">ended</text>
<path class="line" d="M240 272C170 262 170 304 238 296" marker-end="url(#a)"/>
<text class="ink" x="176" y="288" text-anchor="end">{stays_ended}</text>
<path class="line" d="M360 283H574" marker-end="url(#a)"/>
<text class="ink" x="584" y="288">purged after the absolute end</text>
</svg>
"""


if __name__ == "__main__":
    write(documents(), rendered)
