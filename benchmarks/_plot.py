"""The plot of the targets: drawn by matplotlib in an environment of its own. It measures nothing."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from statistics import median
from typing import Final

from _environments import PLOT, NotInstalled, python_of
from _findings import Missing, Plan, Results
from _targets import TARGETS

_SCRIPT: Final = Path(__file__).resolve().parent / "peers" / "draw.py"


def plotted(results: Results, plan: Plan, path: Path) -> Path | Missing:
    """Draw how far each figure is from its target.

    Args:
        results: What was found.
        plan: Where environments are kept.
        path: The file to write.
    """
    bars = [
        {
            "label": each.what.replace("`", ""),
            "margin": each.margin(figures),
            "words": f"{each.shown(median(figures))}   (target: {each.wanted})",
        }
        for each in TARGETS
        if (figures := results.against(each.key))
    ]
    if not bars:
        return Missing("the plot", "no target was measured")
    try:
        python = python_of(PLOT, plan.peers)
    except NotInstalled as error:
        return Missing(PLOT.what, str(error))
    subprocess.run([python, _SCRIPT, path], input=json.dumps(bars).encode(), check=True)
    return path
