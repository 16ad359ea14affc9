#!/usr/bin/env python3
"""Builds the wheel, installs it into `.venv-wheel` and runs tests there. It knows no test.

Usage: python3 dev.py wheel [--built WHEEL] [ARGUMENTS OF PYTEST]

The environment has Keyturn from the wheel, and all other packages from the environment that starts it:
nothing is fetched twice. pip checks that they are what the wheel asks for with `all`. None of its processes
can import the source: `tools/no_source.py`. Tests and documents are those of this folder.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
ENVIRONMENT: Final = ROOT / ".venv-wheel"


def main(arguments: list[str]) -> int:
    """Run pytest against a wheel and return its exit status."""
    with TemporaryDirectory(prefix="keyturn-") as folder:
        if arguments[:1] == ["--built"]:
            if len(arguments) == 1 or not Path(arguments[1]).is_file():
                print("wheel.py: --built takes the path of a wheel", file=sys.stderr)
                return 2
            wheel, arguments = Path(arguments[1]).resolve(), arguments[2:]
        else:
            wheel = build(Path(folder))
        python = create(ENVIRONMENT)
        share_packages(ENVIRONMENT)
        install(python, wheel, extra="all")
    print(f"[wheel] Testing {wheel.name}, installed in {where_keyturn_is(python)}", flush=True)
    pytest = [str(python), "-m", "pytest", "-p", "_no_source", *arguments]
    return subprocess.run(pytest, check=False, cwd=ROOT).returncode


def build(into: Path) -> Path:
    """Build the wheel of this folder, by way of the source distribution, as a release does."""
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(into), str(ROOT)]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nwheel.py: the wheel could not be built: see above")
    (wheel,) = into.glob("*.whl")
    return wheel


def create(environment: Path) -> Path:
    """Make an environment with nothing in it, in which the source cannot be imported.

    Returns:
        Its Python.
    """
    subprocess.run([sys.executable, "-m", "venv", "--clear", "--without-pip", environment], check=True)
    folder = packages(environment)
    shutil.copy(ROOT / "tools" / "no_source.py", folder / "_no_source.py")
    line = f"import _no_source; _no_source.hide({str(ROOT / 'src')!r})\n"
    (folder / "_no_source.pth").write_text(line, encoding="utf-8")
    return environment / "bin" / "python"


def packages(environment: Path) -> Path:
    """Return where an environment keeps what was installed."""
    return Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))


def share_packages(environment: Path) -> None:
    """Let an environment use the packages and commands of the one that runs this, behind its own.

    A path that a `.pth` file names has its own `.pth` files left alone, so an editable installation there,
    which is such a file, does not count.
    """
    line = sysconfig.get_path("purelib") + "\n"
    (packages(environment) / "_shared.pth").write_text(line, encoding="utf-8")
    ours, theirs = (Path(path, "bin", "python") for path in (sys.prefix, environment))
    for script in ours.parent.iterdir():
        command = theirs.with_name(script.name)
        first, newline, rest = script.read_bytes().partition(b"\n") if script.is_file() else (b"", b"", b"")
        if first.startswith(f"#!{ours}".encode()):
            command.write_bytes(f"#!{theirs}".encode() + newline + rest)
            command.chmod(0o755)
        elif os.access(script, os.X_OK) and not first.startswith(b"#!") and not command.exists():
            command.symlink_to(script)  # a program that is no Python, such as zizmor


def install(python: Path, wheel: Path, *, extra: str = "") -> None:
    """Install a wheel; what it asks for must be there already.

    Raises:
        SystemExit: Something that it asks for is not there.
    """
    what = f"keyturn{f'[{extra}]' if extra else ''} @ {wheel.as_uri()}"
    options = [
        "--no-index",
        "--quiet",
        "--disable-pip-version-check",
        "--no-input",
        "--no-warn-script-location",
    ]
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", *options, what]
    done = subprocess.run(command, check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    if done.returncode != 0:
        raise SystemExit(f"{done.stdout}\nwheel.py: {wheel.name} could not be installed: see above")


def where_keyturn_is(python: Path) -> Path:
    """Return the folder that an environment imports Keyturn from, which is its own.

    Raises:
        SystemExit: It is another.
    """
    code = "import keyturn; print(keyturn.__file__)"
    asked = subprocess.run(
        [python, "-c", code],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={"PYTHONPATH": str(ROOT / "src")},
    )
    package = Path(asked.stdout.strip()).parent
    if package.parent != packages(python.parents[1]):
        raise SystemExit(f"wheel.py: {python} imports Keyturn from {package}, which is not the wheel")
    return package


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
