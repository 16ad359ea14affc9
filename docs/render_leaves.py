"""Counts the lines of each framework's leaf into frameworks.md. It knows where leaves are, and none of them.

`python docs/render_leaves.py` writes; a test calls `rendered()` and compares.
"""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path
from typing import Final, NamedTuple

from rendering import with_part, write

ROOT: Final = Path(__file__).parents[1]
DOCUMENT: Final = ROOT / "docs" / "explanation" / "frameworks.md"
BEGIN: Final = "<!-- rendered from the sources by docs/render_leaves.py: do not edit by hand -->\n"
END: Final = "<!-- end of what is rendered -->\n"
_NO_CODE: Final = frozenset(
    {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
)


class Leaf(NamedTuple):
    """One framework's leaf.

    Attributes:
        framework: Its name.
        place: The module or the package, below `keyturn`.
        servers: On which servers it keeps the HTTP suite.
        sockets: Whether the suite's rules of WebSockets are among them.
    """

    framework: str
    place: str
    servers: str
    sockets: bool = True


LEAVES: Final = (
    Leaf("Starlette", "starlette", "uvicorn"),
    Leaf("FastAPI (on Starlette's)", "fastapi.py", "uvicorn"),
    Leaf("Flask", "flask", "Werkzeug, gunicorn", sockets=False),
    Leaf("Django, with Django REST framework", "django", "Werkzeug, gunicorn, uvicorn"),
    Leaf("Litestar", "litestar", "uvicorn"),
    Leaf("aiohttp", "aiohttp", "aiohttp's runner"),
)


def documents() -> list[Path]:
    """Give the one document of which a part is rendered."""
    return [DOCUMENT]


def rendered(document: Path) -> str:
    """Give the document as it should be.

    Args:
        document: Which.
    """
    return with_part(document.read_text("utf-8"), BEGIN, END, _table())


def _table() -> str:
    lines = [
        "| framework | in `keyturn` | files | lines | lines of code | the HTTP suite on | WebSockets |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for leaf in LEAVES:
        files = sources(leaf)
        texts = [path.read_text("utf-8") for path in files]
        total, code = sum(len(text.splitlines()) for text in texts), sum(map(code_lines, texts))
        cells = [leaf.framework, f"`{leaf.place}`", len(files), total, code, leaf.servers]
        lines.append(f"| {' | '.join(map(str, cells))} | {'yes' if leaf.sockets else 'none of its own'} |")
    return "\n".join(lines) + "\n"


def sources(leaf: Leaf) -> list[Path]:
    """Give the files of a leaf."""
    place = ROOT / "src" / "keyturn" / leaf.place
    return [place] if place.is_file() else sorted(place.rglob("*.py"))


def code_lines(text: str) -> int:
    """Count the lines that hold code: no blank line, comment or docstring does."""
    tree = ast.parse(text)
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    words: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, documented) and ast.get_docstring(node) is not None:
            first = node.body[0]
            words.update(range(first.lineno, (first.end_lineno or first.lineno) + 1))
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    code = [each for each in tokens if each.type not in _NO_CODE]
    return len({line for each in code for line in range(each.start[0], each.end[0] + 1)} - words)


if __name__ == "__main__":
    write(documents(), rendered)
