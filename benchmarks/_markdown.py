"""Findings as Markdown, and as lines for whoever waits. It decides nothing about them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Final, assert_never

from _findings import Against, Finding, Missing, Results, Table, Versions, in_words
from _targets import TARGETS, Target


def printed(finding: Finding) -> str:
    """Give a finding as lines of text; nothing where there is nothing to see."""
    match finding:
        case Table():
            return f"\n  {finding.title}\n" + "".join(f"    {each}\n" for each in _aligned(finding))
        case Missing():
            return f"\n  {finding}\n"
        case Against() | Versions():
            return ""
        case _:
            assert_never(finding)


_OPENING: Final = (
    "Written by `keyturn bench`. Everything was measured in one run, in turns; figures are medians, "
    "quartiles in brackets, and each ratio was taken round by round. On another machine the ratios stay "
    "similar, the rates do not."
)


def document(
    results: Results, about: Mapping[str, str], parts: Mapping[str, str], picture: Path | None
) -> str:
    """Write the whole document.

    Args:
        results: What was found.
        about: The machine and the run.
        parts: What each part is, in their order.
        picture: The plot beside the document, if there is one.
    """
    blocks = [
        "# Benchmark",
        _OPENING,
        _table(("machine", ""), about.items()),
        "## What to reach",
        _table(("what", "target", "measured", ""), (_verdict(each, results) for each in TARGETS)),
        "" if picture is None else f"![How far each figure is from its target]({picture.name})",
    ]
    for part, what in parts.items():
        tables = list(results.tables(part))
        blocks += [f"## {part.capitalize()}: {what}"] * bool(tables)
        blocks += [block for each in tables for block in _shown(each)]
    missing = list(results.missing())
    blocks += ["## Not measured", "\n".join(f"- {each}" for each in missing)] if missing else []
    blocks += ["## Versions", " · ".join(f"{name} {version}" for name, version in results.versions().items())]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _verdict(target: Target, results: Results) -> tuple[str, ...]:
    figures = results.against(target.key)
    if not figures:
        return target.what, target.wanted, "not measured", ""
    digits = len(target.shown(median(figures)).partition(" ")[0].partition(".")[2])
    words = f"{in_words(figures, f'{{:,.{digits}f}}')} {target.unit}"
    return target.what, target.wanted, words, "reached" if target.reached(figures) else "**not reached**"


def _shown(table: Table) -> list[str]:
    return [f"### {table.title}", _table(table.head, table.rows), table.note]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1) if len(head) > 2 else ["---"] * 2, *rows]  # noqa: PLR2004
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _aligned(table: Table) -> list[str]:
    rows = [table.head, *table.rows]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(text.ljust(width) for text, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
