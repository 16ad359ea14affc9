"""The project's own files, for the tests that hold its rules. It knows no rule."""

from __future__ import annotations

import ast
import subprocess
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"


@dataclass(frozen=True, slots=True)
class Import:
    """One import statement's target: for `from a import b`, both `a` and, if that is a module, `a.b`."""

    target: str
    line: int


@dataclass(frozen=True, slots=True)
class Module:
    """One module under `src`."""

    name: str
    path: Path

    def tree(self) -> ast.Module:
        """Return its syntax tree."""
        return ast.parse(self.path.read_text("utf-8"), filename=str(self.path))


@cache
def modules() -> dict[str, Module]:
    """Return all modules under `src`, by dotted name."""
    found: dict[str, Module] = {}
    for path in sorted((SRC / "keyturn").rglob("*.py")):
        parts = path.relative_to(SRC).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        found[name] = Module(name, path)
    return found


def imports(module: Module) -> Iterator[Import]:
    """Yield every import of a module: also those inside functions and under `TYPE_CHECKING`."""
    for node in ast.walk(module.tree()):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield Import(alias.name, node.lineno)
            case ast.ImportFrom(module=base, names=names, level=level):
                source = _absolute(module, base, level)
                for alias in names:
                    inner = f"{source}.{alias.name}"
                    yield Import(inner if inner in modules() else source, node.lineno)
            case _:
                pass


def _absolute(module: Module, base: str | None, level: int) -> str:
    if level == 0:
        return base or ""
    package = module.name.split(".") if module.path.name == "__init__.py" else module.name.split(".")[:-1]
    above = package[: len(package) - level + 1]
    return ".".join([*above, base] if base else above)


def is_within(name: str, package: str) -> bool:
    """Tell whether a dotted name is a package or something inside it."""
    return name == package or name.startswith(f"{package}.")


def project_files() -> list[Path]:
    """Return the files that are committed or about to be: all that Git does not ignore."""
    listing = subprocess.run(
        ["git", "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    return sorted(path for name in listing.split("\0") if name and (path := ROOT / name).is_file())


@cache
def pyproject() -> dict[str, Any]:
    """Return `pyproject.toml`."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
