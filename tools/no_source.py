"""Makes a folder's modules invisible to an environment: what it imports is what was installed. It knows no project.

`tools/wheel.py` puts it into the environment in which the wheel is tested, where it runs at the start of each
process. Whatever `sys.path` or `PYTHONPATH` says, an import that would find the source finds the wheel.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class _Nothing:
    """The finder of a folder in which there is nothing to import."""

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """Find nothing."""
        del name, path, target


def hide(folder: str) -> None:
    """Let nothing be imported from a folder, nor from inside it, in this process."""

    def hook(entry: str) -> _Nothing:
        if Path(entry).resolve().is_relative_to(folder):
            return _Nothing()
        raise ImportError  # it is for the next hook

    sys.path_hooks.insert(0, hook)
    sys.path_importer_cache.clear()
