"""The packed browser client, for the tests beside this file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def packed_client() -> Path:
    """Give the folder with the modules of the packed tarball."""
    return Path(os.environ["KEYTURN_PACKED_CLIENT"])
