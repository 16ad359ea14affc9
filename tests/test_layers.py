"""Holds the architecture: imports point down only, and the core is pure. It knows no module's content."""

from __future__ import annotations

import ast
import sys
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.layers import CORE, LAYERS, PURE, PURE_PACKAGES, objection, rank_and_entry
from tests.support.sources import Module, imports, is_within, modules

PURE_MODULES = [m for m in modules().values() if any(is_within(m.name, entry) for entry in PURE)]

# Modules of the standard library that bring a clock, chance, or the world outside.
IMPURE_MODULES = {
    *("asyncio", "concurrent", "io", "logging", "multiprocessing", "os", "random", "secrets", "select"),
    *("shutil", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading", "time"),
}
# Names of such things inside packages that are otherwise welcome (`datetime`, `uuid`, `cryptography`).
IMPURE_NAMES = {
    *("now", "utcnow", "today", "urandom", "uuid1", "uuid4", "uuid6", "uuid7"),
    *("generate", "generate_private_key", "generate_key"),
}
ASYNC_SYNTAX = (ast.AsyncFunctionDef, ast.AsyncFor, ast.AsyncWith, ast.Await)


def impurities(tree: ast.Module) -> list[str]:
    """Return what makes a module depend on a clock, on chance or on an event loop."""
    found: list[str] = []
    imported = _imported_names(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                found += [f"{node.lineno}: import {a.name}" for a in names if _top(a.name) in IMPURE_MODULES]
            case ast.ImportFrom(module=str(source), names=names, level=0):
                impure = _top(source) in IMPURE_MODULES
                foreign = _top(source) != "keyturn"
                found += [
                    f"{node.lineno}: {a.name}"
                    for a in names
                    if impure or (foreign and a.name in IMPURE_NAMES)
                ]
            case ast.Attribute(attr=name) if name in IMPURE_NAMES and _root(node) in imported:
                found.append(f"{node.lineno}: .{name}")  # `datetime.now`, but not `command.now`, a value
            case ast.Call(func=ast.Name(id="open" | "print" | "input" as name)):
                found.append(f"{node.lineno}: {name}()")
            case _ if isinstance(node, ASYNC_SYNTAX):
                found.append(f"{node.lineno}: async")
            case _:
                pass
    return found


def _top(name: str) -> str:
    return name.partition(".")[0]


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _imported_names(tree: ast.Module) -> set[str]:
    """Return the names that a module has from elsewhere than Keyturn."""
    names: set[str] = set()
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=aliases):
                names |= {alias.asname or _top(alias.name) for alias in aliases}
            case ast.ImportFrom(module=str(source), names=aliases, level=0) if _top(source) != "keyturn":
                names |= {alias.asname or alias.name for alias in aliases}
            case _:
                pass
    return names


def test_the_table_is_looked_at_with_real_modules() -> None:
    """There is something to check: the core and the errors exist."""
    assert "keyturn.errors" in modules()
    assert f"{CORE}.decide" in {module.name for module in PURE_MODULES}


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_every_module_has_a_layer(module: Module) -> None:
    """Every module stands in the table of layers."""
    assert rank_and_entry(module.name), f"{module.name}: add a line to LAYERS in tests/support/layers.py"


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_imports_point_down_only(module: Module) -> None:
    """A module imports only what stands below it, or beside it in its own entry."""
    targets = [found for found in imports(module) if is_within(found.target, "keyturn")]
    objections = [(found.line, objection(module.name, found.target)) for found in targets]
    assert [each for each in objections if each[1]] == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    """Also inside one entry there is a down: the graph of imports has no cycle."""
    graph = {
        module.name: {found.target for found in imports(module) if found.target in modules()} - {module.name}
        for module in modules().values()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" ← ".join(error.args[1]))


@pytest.mark.parametrize("module", PURE_MODULES, ids=lambda module: module.name)
def test_the_core_imports_only_what_is_pure(module: Module) -> None:
    """The core knows the standard library, itself, and a few modules that are as pure as it is."""
    foreign = {
        found.target
        for found in imports(module)
        if _top(found.target) not in sys.stdlib_module_names
        and not any(is_within(found.target, entry) for entry in PURE)
        and not any(is_within(module.name, user) for user in PURE_PACKAGES.get(_top(found.target), ()))
    }
    assert foreign == set()


@pytest.mark.parametrize("module", PURE_MODULES, ids=lambda module: module.name)
def test_the_core_has_no_clock_no_chance_and_no_await(module: Module) -> None:
    """Time, random bytes and new ids are values that the core is given."""
    assert impurities(module.tree()) == []


@pytest.mark.parametrize(
    "planted",
    [
        "import time",
        "from time import time",
        "import random",
        "import os.path",
        "from secrets import token_bytes",
        "from uuid import uuid4",
        "import uuid\nuuid.uuid4()",
        "import datetime\ndatetime.datetime.now()",
        "from datetime import date\ndate.today()",
        "from datetime import datetime as moment\nmoment.now()",
        "from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key",
        "from cryptography.x import Ed25519PrivateKey as Key\nKey.generate()",
        "async def f(): pass",
        "def f():\n    import asyncio",
        "open('x')",
    ],
)
def test_an_impurity_is_found(planted: str) -> None:
    """The check above finds what it looks for, wherever it hides."""
    assert impurities(ast.parse(planted))


@pytest.mark.parametrize(
    "innocent",
    [
        "command.now",
        "facts.command.now",
        "from keyturn._core.ids import uuid7",
        "from .ids import uuid7",
        "from uuid import UUID",
        "from datetime import datetime",
        "import hashlib",
    ],
)
def test_what_is_pure_passes(innocent: str) -> None:
    """A time that was passed in is no clock."""
    assert impurities(ast.parse(innocent)) == []


@pytest.mark.parametrize(
    ("importer", "target", "reason"),
    [
        ("keyturn.errors", "keyturn.policy", "above"),
        ("keyturn._core.decide", "keyturn.stores.memory", "above"),
        ("keyturn.flask", "keyturn.starlette", "sibling"),
        ("keyturn.server.app", "keyturn.testing.conformance", "nothing may import"),
        ("keyturn.stores.memory", "keyturn", "above"),
        ("keyturn.nowhere", "keyturn.errors", "tests/support/layers.py"),
    ],
)
def test_an_import_that_points_up_is_refused(importer: str, target: str, reason: str) -> None:
    """The table refuses what it should, and says why."""
    assert reason in (objection(importer, target) or "")


@pytest.mark.parametrize(
    ("importer", "target"),
    [
        ("keyturn.manager", "keyturn._core.engine"),
        ("keyturn.stores.memory", "keyturn.stores.protocol"),
        ("keyturn.testing.machine", "keyturn.http.messages"),
        ("keyturn._core.decide", "keyturn._core.records"),
    ],
)
def test_an_import_that_points_down_is_allowed(importer: str, target: str) -> None:
    """The table lets pass what it should."""
    assert objection(importer, target) is None


def test_relative_and_hidden_imports_are_seen(tmp_path: Path) -> None:
    """An import counts however it is written and wherever it stands."""
    source = tmp_path / "leaf.py"
    source.write_text(
        "from typing import TYPE_CHECKING\n"
        "if TYPE_CHECKING:\n    from keyturn import errors\n"
        "def f():\n    from . import policy\n    from ..errors import KeyturnError\n"
    )
    seen = {(found.line, found.target) for found in imports(Module("keyturn.http.leaf", source))}
    assert seen == {
        (1, "typing"),
        (3, "keyturn.errors"),
        (5, "keyturn.http"),
        (6, "keyturn.errors"),
    }


def test_the_table_names_each_entry_once() -> None:
    """An entry stands on one line only."""
    entries = [entry for line in LAYERS for entry in line]
    assert len(entries) == len(set(entries))
