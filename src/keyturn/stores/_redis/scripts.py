"""The scripts in Lua, read from the files beside this one. They know no connection and no outcome.

Each is sent as `common.lua` and its own file, behind its own first line, which tells Redis what it may do,
and the one number that they share with the core.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha1
from importlib.resources import files
from typing import Final

from keyturn._core.revocations import RETENTION


@dataclass(frozen=True, slots=True)
class Script:
    """One script.

    Attributes:
        name: The name of its file.
        source: Its text.
        sha: What Redis calls it by: SHA-1 of the text.
        reads: It changes nothing.
    """

    name: str
    source: str = field(repr=False)
    sha: str
    reads: bool


def _script(name: str) -> Script:
    flags, body = _text(name).split("\n", 1)
    source = f"{flags}\nlocal LOG_MS = {RETENTION}\n{_COMMON}{body}"
    digest = sha1(source.encode(), usedforsecurity=False).hexdigest()
    return Script(name, source, digest, "no-writes" in flags)


def _text(name: str) -> str:
    return (files("keyturn.stores._redis") / f"{name}.lua").read_text("utf-8")


_COMMON: Final = _text("common")

CREATE: Final = _script("create")
ROTATE: Final = _script("rotate")
CONFIRM: Final = _script("confirm")
REVOKE: Final = _script("revoke")
REVOKE_USER: Final = _script("revoke_user")
DENY: Final = _script("deny")
FIND_USER: Final = _script("find_user")
WALK: Final = _script("walk")
DELETE: Final = _script("delete")
PURGE: Final = _script("purge")
NOTE: Final = _script("note")
FORGET: Final = _script("forget")
APPEND: Final = _script("append")

ALL: Final = (
    CREATE,
    ROTATE,
    CONFIRM,
    REVOKE,
    REVOKE_USER,
    DENY,
    FIND_USER,
    WALK,
    DELETE,
    PURGE,
    NOTE,
    FORGET,
    APPEND,
)
