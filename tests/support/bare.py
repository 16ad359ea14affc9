"""A fresh environment with what a distribution asks for and no more. It knows no distribution.

Nothing is fetched: each package is copied from the environment that runs the tests, file by file as its own
list says, together with what it asks for itself.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from importlib.metadata import distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def needed(requirements: Iterable[str], *, extra: str = "") -> dict[str, Requirement]:
    """Return those of a distribution's requirements that count here without extras, or with one."""
    found = (Requirement(text) for text in requirements)
    return {
        canonicalize_name(requirement.name): requirement
        for requirement in found
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra})
    }


def copy_packages(requirements: Iterable[str], into: Path) -> set[str]:
    """Copy what requirements name, and what that asks for, into a folder of packages.

    Returns:
        The names of the distributions that were copied.
    """
    copied: set[str] = set()
    waiting = set(needed(requirements))
    while waiting:
        name = waiting.pop()
        copied.add(name)
        found = distribution(name)
        waiting |= set(needed(found.requires or ())) - copied
        for file in found.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                target = into / file
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(str(found.locate_file(file)), target)
    return copied
