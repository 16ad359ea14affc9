"""Writes the endpoints and the settings into endpoints.md, from their one description. It knows no server.

`python docs/render_endpoints.py` writes; a test calls `rendered()` and compares.
"""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from keyturn.http import HttpSettings, openapi
from keyturn.policy import Policy

DOCUMENT: Final = Path(__file__).parent / "how-to" / "endpoints.md"
PARTS: Final = ("endpoints", "settings", "policy")
_ITEM: Final = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)


def rendered() -> str:
    """Give the document as it should be."""
    text = DOCUMENT.read_text("utf-8")
    tables = {"endpoints": _endpoints(), "settings": _options(HttpSettings), "policy": _options(Policy)}
    for part in PARTS:
        begin, end = f"<!-- rendered: {part} -->\n", f"<!-- end of {part} -->\n"
        before, _, rest = text.partition(begin)
        text = f"{before}{begin}\n{tables[part]}\n{end}{rest.partition(end)[2]}"
    return text


def _endpoints() -> str:
    lines = ["| request | body | answer | refusals | |", "| --- | --- | --- | --- | --- |"]
    for path, operations in openapi.paths(HttpSettings(), has_login=True).items():
        for method, operation in operations.items():
            responses: dict[str, Any] = operation["responses"]
            good = next(status for status in responses if status.startswith("2"))
            request = f"`{method.upper()} {path}`" + (", access token" if "security" in operation else "")
            cells = (
                request,
                _shape(operation.get("requestBody", {})),
                f"{good} {_shape(responses[good])}".strip(),
                ", ".join(status for status in sorted(responses) if not status.startswith("2")) or "-",
                operation["summary"],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shape(described: dict[str, Any]) -> str:
    content = described.get("content")
    if not content:
        return ""
    schema = content["application/json"]["schema"]
    needed = schema.get("required", ())
    names = (f"`{name}`" + ("" if name in needed else "?") for name in schema["properties"])
    return ", ".join(names)


def _options(kind: type[Any]) -> str:
    told = dict(_ITEM.findall(kind.__doc__ or ""))
    lines = ["| field | default | |", "| --- | --- | --- |"]
    for field in fields(kind):
        words = re.sub(r"\s+", " ", told[field.name]).replace("|", "\\|")
        lines.append(f"| `{field.name}` | {_default(field.default)} | {words} |")
    return "\n".join(lines) + "\n"


def _default(value: object) -> str:
    if callable(value):
        return f"`{getattr(value, '__name__', value)}`"
    return f"`{value!r}`"


if __name__ == "__main__":
    DOCUMENT.write_text(rendered(), encoding="utf-8")
