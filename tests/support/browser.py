"""Where Chromium, Swagger UI and axe are, and what their absence means. It knows no page.

The one rule: in CI (`CI=true`) what is missing is a failure; elsewhere it is a skip that names the one
command that brings it.
"""

from __future__ import annotations

import os
import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest

from dev import BROWSERS

INSTALL = "sudo apt-get install chromium"


def require_chromium() -> str:
    """Return the path of a Chromium, or end the test as the rule above says."""
    for name in BROWSERS:
        if found := shutil.which(name):
            return found
    raise _missing(f"no Chromium on PATH ({', '.join(BROWSERS)}); on Debian: {INSTALL}")


def require_swagger_ui() -> Path:
    """Return the folder of Swagger UI's own files, or end the test as the rule above says."""
    package = "drf_spectacular_sidecar"  # pages fetch them from a CDN, which tests do not
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise _missing("no Swagger UI: pip install drf-spectacular-sidecar")
    return Path(spec.origin).parent / "static" / package / "swagger-ui-dist"


def read_axe() -> str:
    """Return axe-core as a script, which finds what keeps people from using a page; or end the test."""
    spec = find_spec("axe_playwright_python")  # whose own runner is not needed
    if spec is None or spec.origin is None:
        raise _missing("no axe: pip install axe-playwright-python")
    return (Path(spec.origin).parent / "axe.min.js").read_text("utf-8")


def _missing(message: str) -> BaseException:
    return pytest.fail.Exception(message, pytrace=False) if in_ci() else pytest.skip.Exception(message)


def in_ci() -> bool:
    """Tell whether this run must not skip anything."""
    return os.environ.get("CI", "").lower() in {"1", "true"}
