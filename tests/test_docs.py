"""Documents that are rendered from the code or from data agree with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"


@pytest.mark.parametrize("script", ["render_states", "render_round_trips"])
def test_what_is_rendered_is_up_to_date(script: str) -> None:
    """rotation.md shows the rules of `decide`, round-trips.md what was measured, in their order and words."""
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    document = module.DOCUMENT.read_text(encoding="utf-8")
    assert module.rendered() == document, f"run: python docs/{script}.py"
