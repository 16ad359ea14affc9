"""Hides a folder's modules from an environment, so that it imports what was installed. It knows no project.

`tools/wheel.py` puts it into the environment in which the wheel is tested, where it runs at the start of each
process. Whatever `sys.path` or `PYTHONPATH` says, an import that would find the source finds the wheel. As a
plugin of pytest (PYTEST_DONT_REWRITE: it is loaded before) it also finds what was loaded by its path.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType


class Nothing:
    """The finder of a folder in which there is nothing to import."""

    def find_spec(self, fullname: str, target: ModuleType | None = None, /) -> ModuleSpec | None:
        """Find nothing."""
        del fullname, target
        return None


@dataclass(frozen=True, slots=True)
class Hidden:
    """A hook of `sys.path_hooks`, by which nothing is found in a folder, nor inside it."""

    folder: str

    def __call__(self, entry: str) -> Nothing:
        """Give the finder of a hidden folder; an ImportError leaves others to the next hook."""
        if not self.hides(str(Path(entry).resolve())):
            raise ImportError
        return Nothing()

    def hides(self, path: str | None) -> bool:
        """Tell whether a path is the folder or inside it."""
        return path is not None and f"{path}/".startswith(f"{self.folder}/")


def hide(folder: str) -> None:
    """Let nothing be imported from a folder in this process."""
    sys.path_hooks.insert(0, Hidden(folder))
    sys.path_importer_cache.clear()


def pytest_runtest_teardown() -> None:
    """Hold that no test has loaded a module from a hidden folder by its path."""
    hooks = [hook for hook in sys.path_hooks if isinstance(hook, Hidden)]
    loaded = [
        module.__name__
        for module in list(sys.modules.values())
        if any(hook.hides(getattr(module, "__file__", None)) for hook in hooks)
    ]
    if loaded:
        raise AssertionError(f"loaded from {hooks}, and not from what was installed: {loaded}")
