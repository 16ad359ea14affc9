"""Documents that are rendered from the code or from data agree with it."""

from __future__ import annotations

import pytest

from tests.support.doc_scripts import DOCS, load

RENDERING = sorted(path.stem for path in DOCS.glob("render_*.py"))


@pytest.mark.parametrize("script", RENDERING)
def test_what_is_rendered_is_up_to_date(script: str) -> None:
    """From the code, from what was measured and from the examples, in their order and words."""
    module = load(script)
    assert module.documents()
    for document in module.documents():
        fresh = module.rendered(document) == document.read_text(encoding="utf-8")
        assert fresh, f"{document.name} is stale: run python docs/{script}.py"
