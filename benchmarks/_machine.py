"""What a run was measured on: the machine, and the versions of what every part uses. It measures nothing."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

_PACKAGES: Final = (
    "keyturn",
    "cryptography",
    "sqlalchemy",
    "psycopg",
    "redis",
    "pymysql",
    "uvicorn",
    "starlette",
)
_VERSION: Final = re.compile(r"\d+(?:\.\d+)+[\w.+~-]*")


def machine() -> Mapping[str, str]:
    """Describe the machine."""
    return {
        "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "processor": f"{_processor()}, {os.cpu_count()} at hand",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "kernel": f"{platform.system()} {platform.release()}",
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.2f}",
    }


def packages() -> Mapping[str, str]:
    """Give the versions of the packages that Keyturn is measured with, as far as they are installed."""
    found: dict[str, str] = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def version_of(program: Path) -> str:
    """Ask a program for its version."""
    done = subprocess.run(
        [program, "--version"], check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    found = _VERSION.search(done.stdout + done.stderr)
    return found.group() if found else "unknown"


def _processor() -> str:
    path = Path("/proc/cpuinfo")
    text = path.read_text("utf-8") if path.exists() else ""
    found = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return found.group(1).strip() if found else platform.machine()
