"""The twins agree, and the managers decide nothing: rules that nobody has to remember."""

from __future__ import annotations

import ast
import inspect
from typing import Any

import pytest

from keyturn import manager as manager_module
from keyturn.manager import AsyncTokenManager, TokenManager
from keyturn.stores import memory, postgres, protocol, redis, sqlalchemy

TWINS: list[tuple[type, type]] = [
    (TokenManager, AsyncTokenManager),
    (protocol.Store, protocol.AsyncStore),
    (memory.MemoryStore, memory.AsyncMemoryStore),
    (sqlalchemy.SQLAlchemyStore, sqlalchemy.AsyncSQLAlchemyStore),
    (postgres.PostgresStore, postgres.AsyncPostgresStore),
    (redis.RedisStore, redis.AsyncRedisStore),
]


def public(kind: type) -> dict[str, Any]:
    """Give a class's own and inherited public functions."""
    return {
        name: value
        for name, value in inspect.getmembers(kind, inspect.isfunction)
        if not name.startswith("_")
    }


@pytest.mark.parametrize(("plain", "coloured"), TWINS)
def test_the_twins_have_the_same_methods(plain: type, coloured: type) -> None:
    """Both colours have the same public methods, with the same parameters and the same summary."""
    ours, theirs = public(plain), public(coloured)
    assert ours.keys() == theirs.keys()
    for name, method in ours.items():
        other = theirs[name]
        assert inspect.signature(method).parameters == inspect.signature(other).parameters, name
        assert (method.__doc__ or "").splitlines()[0] == (other.__doc__ or "").splitlines()[0], name


def test_the_twins_are_told_apart_by_await_alone() -> None:
    """What is a coroutine function in one colour is a plain one in the other.

    The shared ones are plain in both.
    """
    shared = {"verify_access", "verify_refresh", "sign_access", "now", "use_clock", "jwks", "dump_claims"}
    for name, method in public(AsyncTokenManager).items():
        assert inspect.iscoroutinefunction(method) is (name not in shared), name
        assert not inspect.iscoroutinefunction(public(TokenManager)[name]), name


class Plain(ast.NodeTransformer):
    """Takes the colour out of a method."""

    def visit_Await(self, node: ast.Await) -> ast.AST:
        plain: ast.AST = self.visit(node.value)
        return plain

    def visit_Attribute(self, node: ast.Attribute) -> ast.AST:
        self.generic_visit(node)
        node.attr = {"_worker": "_deferred", "_tasks": "_deferred"}.get(node.attr, node.attr)
        return node


def body(method: ast.FunctionDef | ast.AsyncFunctionDef) -> str:
    """Give what a method does, without its colour, docstring and annotations."""
    statements = method.body[1:] if ast.get_docstring(method) else method.body
    return "\n".join(ast.unparse(Plain().visit(statement)) for statement in statements)


def test_the_managers_do_the_same() -> None:
    """But for `await`, every method of one manager reads like the other's; the exceptions are named."""
    differing = {
        "__init__",  # a worker or tasks, and what load_claims may be
        "_change",  # a task may be cancelled, and what it began must be told all the same
        "_load",  # load_claims may be awaitable in one of them
        "close",  # a worker ends its thread, tasks are only waited for
    }
    tree = ast.parse(inspect.getsource(manager_module))
    plain, coloured = (
        {n.name: n for n in kind.body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)}
        for name in ("TokenManager", "AsyncTokenManager")
        for kind in tree.body
        if isinstance(kind, ast.ClassDef) and kind.name == name
    )
    assert plain.keys() == coloured.keys()
    for name in plain.keys() - differing:
        assert body(plain[name]) == body(coloured[name]), name


@pytest.mark.parametrize("kind", ["TokenManager", "AsyncTokenManager"])
def test_a_public_method_decides_nothing(kind: str) -> None:
    """No public method of a manager holds an `if`, a loop or a `try`: decisions belong to the core."""
    tree = ast.parse(inspect.getsource(manager_module))
    body = next(n for n in tree.body if isinstance(n, ast.ClassDef) and n.name == kind).body
    methods = [n for n in body if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef) and n.name[0] != "_"]
    deciding = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.Try, ast.Match)
    assert len(methods) >= 12
    for method in methods:
        found = [type(n).__name__ for n in ast.walk(method) if isinstance(n, deciding)]
        assert not found, f"{kind}.{method.name} holds {found}"
