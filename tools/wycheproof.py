#!/usr/bin/env python3
"""Brings the published Wycheproof vectors for JWS and JWK into a folder. It knows nothing of Keyturn.

Usage: python3 tools/wycheproof.py FOLDER

They come in Debian's package golang-github-c2sp-wycheproof-dev, from `testing`, because the stable release
does not carry it. The package is downloaded with apt's own signature check from the mirror that this machine
uses anyway, with lists and cache of its own, and unpacked, not installed: nothing of the system changes, and
root is not needed. It is done once; an existing folder is left alone.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

PACKAGE: Final = "golang-github-c2sp-wycheproof-dev"
INSIDE: Final = Path("usr/share/gocode/src/github.com/c2sp/wycheproof/testvectors_v1")
FILES: Final = ("json_web_signature_test.json", "json_web_key_test.json", "json_web_crypto_test.json")
KEYRING: Final = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SUITE: Final = "testing"
ATTEMPTS: Final = 3  # mirrors fail now and then


def main(arguments: list[str]) -> int:
    """Fill the folder, unless it is full."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print(__doc__, file=sys.stderr)
        return 2
    target = Path(arguments[0]).resolve()
    if all((target / name).is_file() for name in FILES):
        return 0
    if missing := [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]:
        raise SystemExit(f"wycheproof.py: {missing[0]} is not here: the vectors come in a Debian package")
    with TemporaryDirectory() as work:
        _unpack(_download(Path(work)), target)
    return 0


def _download(work: Path) -> Path:
    """Download the package and return its file."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (work / folder).mkdir(parents=True)
    work.chmod(0o755)  # apt drops its privileges before it downloads
    signed = f"[signed-by={KEYRING}] " if KEYRING.exists() else ""
    (work / "sources.list").write_text(f"deb {signed}{_mirror()} {SUITE} main\n", encoding="utf-8")
    options = {
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": work / "lists",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "APT::Sandbox::User": "root",  # the folder is ours alone
    }
    apt = ["apt-get", "-qq", *(part for name, value in options.items() for part in ("-o", f"{name}={value}"))]
    for attempt in range(1, ATTEMPTS + 1):
        if _run([*apt, "update"], work) and _run([*apt, "download", PACKAGE], work):
            return next(work.glob("*.deb"))
        print(f"apt-get failed (attempt {attempt} of {ATTEMPTS})", file=sys.stderr)
    raise SystemExit(f"wycheproof.py: could not download {PACKAGE}: see the messages above")


def _mirror() -> str:
    """Give the mirror that apt uses here for Debian itself."""
    for update in (
        False,
        True,
    ):  # whose mirror is whose stands in apt's lists, and a bare machine has none yet
        if update and not _run(["apt-get", "-qq", "update"], Path.cwd()):
            break
        listed = subprocess.run(
            ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)", "Created-By: Packages"],
            check=False,
            capture_output=True,
            text=True,
        )
        for line in listed.stdout.splitlines():
            origin, label, uri = line.split("|", 2)
            if (origin, label) == ("Debian", "Debian"):
                return uri
    raise SystemExit("wycheproof.py: apt knows no Debian mirror here; run 'apt-get update' once")


def _unpack(package: Path, target: Path) -> None:
    root = package.parent / "root"
    if not _run(["dpkg-deb", "-x", str(package), str(root)], package.parent):
        raise SystemExit(f"wycheproof.py: could not unpack {package.name}")
    target.mkdir(parents=True, exist_ok=True)
    for name in FILES:
        shutil.copyfile(root / INSIDE / name, target / name)


def _run(command: list[str], folder: Path) -> bool:
    return subprocess.run(command, check=False, cwd=folder).returncode == 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
