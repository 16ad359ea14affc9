"""Draws the timelines of timelines.toml as SVG pictures beside the explanations, for light and dark screens.

It knows the data and how to draw, and nothing of tokens. `python docs/render_timelines.py` writes; a test
calls `rendered()` and compares.
"""

from __future__ import annotations

import tomllib
from html import escape
from pathlib import Path
from typing import Any, Final

from rendering import write

FOLDER: Final = Path(__file__).parent / "explanation"
DATA: Final = Path(__file__).parent / "timelines.toml"

WIDTH: Final = 920
TIME_X: Final = 24
FIRST_X, LAST_X = 140, 590
NOTE_X: Final = 650
HEAD: Final = 92
STEP: Final = 46
STYLE: Final = """\
.bg{fill:#fff}.ink{fill:#1f2933}.soft{fill:#52606d}.b{font-weight:600}
.life{stroke:#c3ccd5;stroke-width:1.4}
.plain,.ok,.lost,.bad,.quiet{fill:none;stroke-width:1.8}
.plain{stroke:#2563eb}.ok{stroke:#207a3c}.bad{stroke:#c2341d}
.lost{stroke:#c2341d;stroke-dasharray:6 5}.quiet{stroke:#52606d;stroke-dasharray:2 4}
.f-plain{fill:#2563eb}.f-ok{fill:#207a3c}.f-bad,.f-lost{fill:#c2341d}.f-quiet{fill:#52606d}
.actor{fill:#e6f0ff;stroke:#2563eb;stroke-width:1.4}
@media (prefers-color-scheme: dark){
.bg{fill:#10161d}.ink{fill:#e6edf3}.soft{fill:#9fb0c0}.life{stroke:#3a4753}
.plain{stroke:#6ea8ff}.ok{stroke:#63d18a}.bad,.lost{stroke:#ff8f7d}.quiet{stroke:#9fb0c0}
.f-plain{fill:#6ea8ff}.f-ok{fill:#63d18a}.f-bad,.f-lost{fill:#ff8f7d}.f-quiet{fill:#9fb0c0}
.actor{fill:#14284a;stroke:#6ea8ff}}"""


def documents() -> list[Path]:
    """Give all pictures."""
    return [FOLDER / f"{name}.svg" for name in _timelines()]


def rendered(document: Path) -> str:
    """Give a picture as it should be.

    Args:
        document: Which.
    """
    return _picture(_timelines()[document.stem])


def _timelines() -> dict[str, dict[str, Any]]:
    return tomllib.loads(DATA.read_text(encoding="utf-8"))


def _picture(timeline: dict[str, Any]) -> str:
    actors, steps = timeline["actors"], timeline["steps"]
    gap = (LAST_X - FIRST_X) / (len(actors) - 1)
    places = {actor: FIRST_X + gap * number for number, actor in enumerate(actors)}
    bottom = HEAD + STEP * len(steps) + 12
    svg = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {bottom + 16}"'
    drawn = [
        f'{svg} role="img" aria-labelledby="t d" font-family="system-ui, sans-serif" font-size="14">',
        f'<title id="t">{escape(timeline["title"])}</title>',
        f'<desc id="d">{escape(timeline["words"])}</desc>',
        f"<style>\n{STYLE}\n</style>",
        f'<rect class="bg" width="{WIDTH}" height="{bottom + 16}" rx="10"/>',
        f'<text class="ink b" x="{TIME_X}" y="32">{escape(timeline["title"])}</text>',
    ]
    for actor, x in places.items():
        drawn += [
            f'<path class="life" d="M{x:g} {HEAD - 14} V{bottom}"/>',
            f'<rect class="actor" x="{x - 45:g}" y="{HEAD - 42}" width="90" height="28" rx="6"/>',
            _text(actor, x, HEAD - 23, "ink b", "middle"),
        ]
    for number, step in enumerate(steps):
        drawn += _step(step, places, HEAD + STEP * number + 30)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _step(step: dict[str, str], places: dict[str, float], y: float) -> list[str]:
    kind = step.get("kind", "plain")
    start, end = places[step["from"]], places[step["to"]]
    towards = 1 if end > start else -1
    tip = end - 6 * towards if kind != "lost" else (start + end) / 2 + 40 * towards
    drawn = [
        _text(step["at"], TIME_X, y + 4, "soft", "start"),
        f'<path class="{kind}" d="M{start + 4 * towards:g} {y:g} H{tip:g}"/>',
        _text(step["says"], (start + tip) / 2, y - 7, "ink", "middle"),
    ]
    if kind == "lost":
        drawn.append(f'<path class="bad" d="M{tip - 6:g} {y - 6:g} l12 12 m0 -12 l-12 12"/>')
    else:
        drawn.append(f'<path class="f-{kind}" d="M{end - 2 * towards:g} {y:g} l{-9 * towards} -5 v10z"/>')
    if note := step.get("note"):
        drawn.append(_text(note, NOTE_X, y + 4, "soft", "start"))
    return drawn


def _text(words: str, x: float, y: float, look: str, anchor: str) -> str:
    return f'<text class="{look}" x="{x:g}" y="{y:g}" text-anchor="{anchor}">{escape(words)}</text>'


if __name__ == "__main__":
    write(documents(), rendered)
