"""The scripts beside the documents, as modules. It knows none of them."""

from __future__ import annotations

import importlib.util
from types import ModuleType
from typing import Final

from tests.support.sources import ROOT

DOCS: Final = ROOT / "docs"


def load(script: str) -> ModuleType:
    """Import a script of the documents."""
    spec = importlib.util.spec_from_file_location(script, DOCS / f"{script}.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
