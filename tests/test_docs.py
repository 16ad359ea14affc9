"""Documents that are rendered from the code agree with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_the_table_of_the_documentation_is_the_table_of_the_code() -> None:
    """docs/explanation/rotation.md shows the rules of `decide`, in their order and words."""
    spec = importlib.util.spec_from_file_location("render_states", ROOT / "docs" / "render_states.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    document = (ROOT / "docs" / "explanation" / "rotation.md").read_text(encoding="utf-8")
    assert module.rendered() == document, "run: python docs/render_states.py"
