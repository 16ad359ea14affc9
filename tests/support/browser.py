"""Where Chromium is, and what its absence means. It knows no page.

The one rule: in CI (`CI=true`) a missing browser is a failure; elsewhere it is a skip that names the one
command that brings it.
"""

from __future__ import annotations

import os
import shutil

import pytest

from dev import BROWSERS

INSTALL = "sudo apt-get install chromium"


def require_chromium() -> str:
    """Return the path of a Chromium, or end the test as the rule above says."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    message = f"no Chromium on PATH ({', '.join(BROWSERS)}); on Debian: {INSTALL}"
    if in_ci():
        pytest.fail(message, pytrace=False)
    pytest.skip(message)


def in_ci() -> bool:
    """Tell whether this run must not skip anything."""
    return os.environ.get("CI", "").lower() in {"1", "true"}
