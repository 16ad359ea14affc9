"""Documents that are rendered from the code or from data agree with it."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

RENDERED = ["render_states", "render_round_trips", "render_leaves", "render_endpoints", "render_behaviours"]
DOCS = Path(__file__).parents[1] / "docs"


def load(script: str) -> ModuleType:
    """Import a script of the documents."""
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("script", RENDERED)
def test_what_is_rendered_is_up_to_date(script: str) -> None:
    """From the rules of `decide`, from what was measured, and from the sources, in their order and words."""
    module = load(script)
    document = module.DOCUMENT.read_text(encoding="utf-8")
    assert module.rendered() == document, f"run: python docs/{script}.py"


def test_pictures_show_what_is_told() -> None:
    """Each timeline is drawn from its data."""
    pictures = load("render_timelines").pictures()
    assert pictures
    for place, picture in pictures.items():
        stale = picture != place.read_text(encoding="utf-8")
        assert not stale, f"{place.name}: run: python docs/render_timelines.py"


def test_tutorials_show_what_runs() -> None:
    """Each file that a tutorial shows is the example's."""
    module = load("render_tutorials")
    assert module.documents()
    for document in module.documents():
        stale = module.rendered(document) != document.read_text(encoding="utf-8")
        assert not stale, f"{document.name}: run: python docs/render_tutorials.py"
