"""Reads docstrings as they are written here: Google style, Markdown's code. It knows none of them."""

from __future__ import annotations

import ast
import inspect
import re
import sys
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final

from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.typing import ExtensionMetadata

import keyturn.http

# Napoleon, which reads the sections, is between the two.
_BEFORE: Final = 400
_AFTER: Final = 600

_FENCE: Final = re.compile(r"^( *)```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
_CODE: Final = re.compile(r"(?<![`:])`([^`]+)`(?!`)(?=(\w?))")
_SECTION: Final = re.compile(r"^( *)(?:Returns|Yields):\n(?:\1 +\S.*\n?)+", re.MULTILINE)
_RAISES: Final = re.compile(r"(?<=^:raises )\w+(?=:)", re.MULTILINE)
_VALUES: Final = frozenset(
    {"attribute", "data", "property"}
)  # Napoleon takes what is before a colon for the type
_SPAN: Final = re.compile(r"(?:~?keyturn\.policy\.)?Span\[(.+?), (?:float|None)(?: \| None)?\]")
_LAMBDA: Final = re.compile(r"<function [\w.]*<lambda>>")
_REPR: Final = re.compile(r"<(?:built-in |bound )?(?:function |method |class ')?([\w.]+)[^<>]*>")
_COLON: Final = "\ue000"  # private: stands for a colon that begins no description

LINKS: Final = {
    name: f"{value.__module__}.{name}"
    for module in (keyturn.http, keyturn)
    for name in module.__all__
    if inspect.isclass(value := getattr(module, name))
}


def write_as_napoleon_reads(
    _: Sphinx, what: str, name: str, _obj: object, _options: object, lines: list[str]
) -> None:
    """Turn Markdown's code into that of reStructuredText, and hide colons that say no type."""
    if what == "data":
        lines[:] = _told_at_home(name) or lines
    if what in _VALUES and lines:
        lines[0] = lines[0].replace(":", _COLON)
    text = _FENCE.sub(_block, "\n".join(lines))
    text = _SECTION.sub(lambda found: found[0][:10] + found[0][10:].replace(": ", f"{_COLON} "), text)
    lines[:] = text.split("\n")


def _told_at_home(name: str) -> list[str]:
    """Give what is said of a value where it is made, for a module that hands it on."""
    module, _, value = name.rpartition(".")
    for node in ast.walk(ast.parse(inspect.getsource(sys.modules[module]))):
        if isinstance(node, ast.ImportFrom) and value in {alias.name for alias in node.names}:
            told = ModuleAnalyzer.for_module(str(node.module)).find_attr_docs()
            return told.get(("", value)) or _told_at_home(f"{node.module}.{value}")
    return []


def restore(_: Sphinx, _what: str, _name: str, _obj: object, _options: object, lines: list[str]) -> None:
    """Write what Napoleon need not see."""
    text = "\n".join(lines).replace(_COLON, ":")
    text = _SPAN.sub(r"\1", text)
    text = _RAISES.sub(lambda found: LINKS.get(found[0], found[0]), text)
    lines[:] = _CODE.sub(_inline, text).split("\n")


def know_types(_: Sphinx, obj: object, _bound: bool) -> None:  # noqa: FBT001  (as Sphinx calls it)
    """Import what a module imports for type checkers alone, so that its signatures can be read."""
    module = inspect.getmodule(obj)
    if module is not None and module.__name__.startswith("keyturn."):
        _import_types(module)


@cache
def _import_types(module: ModuleType) -> None:
    for node in ast.parse(inspect.getsource(module)).body:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            exec(compile(ast.Module(node.body, []), str(module.__file__), "exec"), vars(module))  # noqa: S102  (the project's own code)


def show_what_is_typed(
    _: Sphinx,
    _what: str,
    _name: str,
    _obj: object,
    _options: object,
    signature: str | None,
    returns: str | None,
) -> tuple[str | None, str | None]:
    """Show what a field takes, not the descriptor that reads it; and defaults by their names."""
    if signature is not None:
        signature = _SPAN.sub(r"\1", signature).replace("<factory>", "...")
        signature = _LAMBDA.sub("...", signature)
        signature = _REPR.sub(lambda found: found[1].rpartition(".")[2], signature)
    return signature, returns


def _block(found: re.Match[str]) -> str:
    indent, language, code = found.groups()
    inner = "\n".join(f"   {line}" if line else "" for line in code.splitlines())
    return f"{indent}.. code-block:: {language or 'text'}\n\n{inner}\n"


def _inline(found: re.Match[str]) -> str:
    code, follows = re.sub(r"\s+", " ", found[1]), found[2]
    link = LINKS.get(code)
    shown = f":py:obj:`{code} <{link}>`" if link else f"``{code}``"
    return shown + ("\\ " if follows else "")


def setup(app: Sphinx) -> ExtensionMetadata:
    """Join in where Sphinx reads docstrings; what was read in another way is read again."""
    app.add_config_value("site_docstrings", sha256(Path(__file__).read_bytes()).hexdigest(), "env")
    app.connect("autodoc-process-docstring", write_as_napoleon_reads, priority=_BEFORE)
    app.connect("autodoc-process-docstring", restore, priority=_AFTER)
    app.connect("autodoc-before-process-signature", know_types)
    app.connect("autodoc-process-signature", show_what_is_typed)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
