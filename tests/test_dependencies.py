"""Holds what Keyturn needs to be installed: each module imports what its extra brings, and says so if not."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from importlib.metadata import packages_distributions

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.support.layers import EXTRAS, extra_of
from tests.support.sources import Module, imports, modules, pyproject

# Each module that needs an extra, with a package whose absence it must explain.
NEEDS = {
    "keyturn.stores.sqlalchemy": "sqlalchemy",
    "keyturn.stores.postgres": "psycopg",
    "keyturn.stores.redis": "redis",
    "keyturn.keystores.sql": "sqlalchemy",
    "keyturn.keystores.redis": "redis",
    "keyturn.starlette": "starlette",
    "keyturn.fastapi": "fastapi",
    "keyturn.flask": "flask",
    "keyturn.aiohttp": "aiohttp",
    "keyturn.django": "django",
    "keyturn.django.rest": "rest_framework",
    "keyturn.django.spectacular": "drf_spectacular",
    "keyturn.litestar": "litestar",
    "keyturn.client": "httpx",
    "keyturn.client.keyring": "keyring",
    "keyturn.pages": "babel",
    "keyturn.testing": "hypothesis",
    "keyturn.server": "argon2",  # the command line says it in its own way: tests/cli
}


# Django REST framework is imported where Django has been set up.
CONFIGURED = """import django; from django.conf import settings
settings.configure(INSTALLED_APPS=["django.contrib.contenttypes", "django.contrib.auth"]); django.setup()
"""
FIRST = {"keyturn.django.rest": CONFIGURED, "keyturn.django.spectacular": CONFIGURED}


@cache
def brought_by(extra: str | None) -> frozenset[str]:
    """Return the distributions that an installation with an extra declares, other extras of ours unfolded."""
    project = pyproject()["project"]
    lines: list[str] = project["dependencies"]
    if extra is not None:
        lines = lines + project["optional-dependencies"][extra]
    found: set[str] = set()
    for requirement in map(Requirement, lines):
        if requirement.name == "keyturn":
            for inner in requirement.extras:
                found |= brought_by(inner)
        else:
            found.add(canonicalize_name(requirement.name))
    return frozenset(found)


@cache
def third_party(module: Module) -> frozenset[str]:
    """Return the top-level packages that a module imports from neither Keyturn nor the standard library."""
    tops = {found.target.partition(".")[0] for found in imports(module)}
    return frozenset(tops - sys.stdlib_module_names - {"keyturn"})


def run_without(packages: set[str], code: str) -> subprocess.CompletedProcess[str]:
    """Run code in a fresh interpreter in which some packages cannot be imported."""
    block = f"import sys; sys.modules.update(dict.fromkeys({sorted(packages)!r}))"
    return subprocess.run(
        [sys.executable, "-c", f"{block}\n{code}"], check=False, capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("module", modules().values(), ids=lambda module: module.name)
def test_a_module_imports_what_its_extra_brings(module: Module) -> None:
    """Whatever a module imports is declared in pyproject.toml, in its extra or for everyone."""
    extra = extra_of(module.name)
    owners = packages_distributions()
    undeclared = {
        package
        for package in third_party(module)
        if not {canonicalize_name(name) for name in owners.get(package, [])} & brought_by(extra)
    }
    assert undeclared == set(), f"declare it in pyproject.toml under {extra or 'dependencies'}"


def test_every_declared_dependency_is_imported() -> None:
    """An extra brings no more than is used, so that nobody installs for nothing."""
    indirect = {"aiosqlite", "asyncmy", "pymysql"}  # drivers that a database URL means, loaded by SQLAlchemy
    owners = packages_distributions()
    used = {
        canonicalize_name(name)
        for module in modules().values()
        for package in third_party(module)
        for name in owners.get(package, [])
    }
    assert brought_by("all") - used - indirect == set()


@pytest.mark.parametrize(("module", "package"), NEEDS.items(), ids=str)
def test_a_missing_extra_names_itself(module: str, package: str) -> None:
    """Without its extra, a module's import error is the command that brings it."""
    run = run_without({package}, f"{FIRST.get(module, '')}import {module}")
    assert run.returncode == 1, f"{module} does not import {package}"
    closing = run.stderr.strip().splitlines()[-1]
    assert closing.startswith("ImportError: "), closing
    assert f"keyturn[{EXTRAS[module]}]" in closing


@pytest.mark.parametrize(("module", "package"), NEEDS.items(), ids=str)
def test_with_its_extra_a_module_imports(module: str, package: str) -> None:
    """The counterpart: with all extras there, the same import works."""
    run = run_without(set(), f"{FIRST.get(module, '')}import {module}, {package}")
    assert (run.returncode, run.stderr) == (0, "")


def test_the_plain_installation_imports_no_extra() -> None:
    """`import keyturn` works, and works the same, where no extra is installed."""
    extras = brought_by("all") - brought_by(None)
    packages = {
        name for name, owner in packages_distributions().items() if {*map(canonicalize_name, owner)} & extras
    }
    assert {"sqlalchemy", "starlette", "flask", "click", "uvicorn", "argon2"} <= packages
    run = run_without(packages, "import keyturn; print(len(keyturn.__all__))")
    assert run.returncode == 0, run.stderr
    assert int(run.stdout) > 0


def test_a_blocked_package_is_really_missing() -> None:
    """The blocker blocks: otherwise the tests above would prove nothing."""
    run = run_without({"click"}, "import click.core")
    assert "ModuleNotFoundError" in run.stderr
