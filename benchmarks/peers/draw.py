"""Draws bars beside the line of what is to be reached: `draw.py FILE`, the bars as JSON on its input."""

from __future__ import annotations

import json
import sys

import matplotlib as mpl

mpl.use("agg")

from matplotlib import pyplot as plt

REACHED, MISSED = "#2a7f62", "#c8553d"


def main(path: str) -> None:
    """Draw one picture."""
    bars = json.load(sys.stdin)[::-1]
    margins = [bar["margin"] for bar in bars]
    figure, axes = plt.subplots(figsize=(12, 0.36 * len(bars) + 1.4))
    colours = [REACHED if margin >= 1 else MISSED for margin in margins]
    axes.barh(range(len(bars)), [margin - 1 for margin in margins], left=1, color=colours, height=0.66)
    axes.set_xscale("log")
    low, high = min(*margins, 0.5), max(*margins, 2)
    axes.set_xlim(low / 1.3, high * (high / low) ** 0.9)
    axes.axvline(1, color="#333333", linewidth=1.2)
    for number, bar in enumerate(bars):
        axes.text(max(bar["margin"], 1) * 1.05, number, bar["words"], va="center", fontsize=8.5)
    axes.set_yticks(range(len(bars)), [bar["label"] for bar in bars], fontsize=8.5)
    ticks = [tick for tick in (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50) if low / 1.3 <= tick <= high * 1.3]
    axes.set_xticks(ticks, ["target" if tick == 1 else f"{tick:g} ×" for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlabel("times better than the target (right) or short of it (left)", fontsize=9)
    axes.set_title("Keyturn beside its targets", loc="left", fontsize=11)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.margins(y=0.01)
    figure.tight_layout()
    figure.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main(sys.argv[1])
