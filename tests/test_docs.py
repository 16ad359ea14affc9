"""Documents that are rendered from the code or from data agree with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

DOCS = Path(__file__).parents[1] / "docs"
RENDERING = sorted(path.stem for path in DOCS.glob("render_*.py"))


def load(script: str) -> ModuleType:
    """Import a script of the documents."""
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", RENDERING)
def test_what_is_rendered_is_up_to_date(script: str) -> None:
    """From the code, from what was measured and from the examples, in their order and words."""
    module = load(script)
    assert module.documents()
    for document in module.documents():
        fresh = module.rendered(document) == document.read_text(encoding="utf-8")
        assert fresh, f"{document.name} is stale: run python docs/{script}.py"
