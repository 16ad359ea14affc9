"""Documents that are rendered from the code or from data agree with it."""

from __future__ import annotations

from importlib import import_module

import pytest

from tests.support.sources import ROOT

RENDERING = sorted(path.stem for path in (ROOT / "docs").glob("render_*.py"))


@pytest.mark.parametrize("script", RENDERING)
def test_what_is_rendered_is_up_to_date(script: str) -> None:
    """From the code, from what was measured and from the examples, in their order and words."""
    module = import_module(script)
    assert module.documents()
    for document in module.documents():
        fresh = module.rendered(document) == document.read_text(encoding="utf-8")
        assert fresh, f"{document.name} is stale: run python docs/{script}.py"
