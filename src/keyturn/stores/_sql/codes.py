"""What the codes of database servers mean, and what a person can do about them. It knows no exception."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an error means.

    Attributes:
        detail: For events, logs and tests.
        words: One sentence, for people.
    """

    detail: str
    words: str


UNAVAILABLE: Final = "The database cannot answer right now."

_UNREACHABLE: Final = Meaning(
    "unreachable", "The database server cannot be reached: is it running, and are host and port right?"
)
_TLS: Final = Meaning(
    "tls", "The database server and this process do not agree on TLS: check the URL's settings for it."
)
_POOLER: Final = Meaning(
    "pooler", "A pooler is between us and the server: write ?prepared=false behind the PostgreSQL URL."
)
_STARTING: Final = Meaning("starting", "The database server is starting or shutting down.")
_CROWDED: Final = Meaning("too_many_connections", "The database server takes no more connections.")
_ACCESS: Final = Meaning(
    "access_denied", "The database server lets this user in with another password only, or not at all."
)
_NO_DATABASE: Final = Meaning(
    "no_database", "There is no database of this name on the server: create it, or correct the URL."
)
_NO_RIGHTS: Final = Meaning(
    "no_rights", "The database user lacks rights on Keyturn's tables: grant them to it."
)
READ_ONLY: Final = Meaning(
    "read_only", "The database server is read-only, as a replica is: give the store the primary's URL."
)
LOCKED: Final = Meaning(
    "lock_timeout", "A row is locked by another transaction, for longer than the busy timeout."
)
LATE: Final = Meaning("timeout", "The database did not answer in time.")
_FULL: Final = Meaning("full", "The database server's disk or memory is full.")
LOST: Final = Meaning("connection_lost", "The connection to the database was lost.")
ROLLED_BACK: Final = Meaning("rolled_back", "The database rolled back, because others wrote the same rows.")

# PostgreSQL's SQLSTATE, and the numbers of MariaDB and MySQL (1xxx and 3xxx: the server; 2xxx: the client).
_BY_CODE: Final[dict[int | str, Meaning]] = {
    **dict.fromkeys(("40001", "40P01", 1213, 1020, 1637), ROLLED_BACK),
    **dict.fromkeys(("25006", 1836, 1792), READ_ONLY),
    **dict.fromkeys(("55P03", 1205), LOCKED),
    **dict.fromkeys(("57014", 1969, 3024), LATE),
    **dict.fromkeys(("28000", "28P01", 1044, 1045, 1130, 1698, 1129), _ACCESS),
    **dict.fromkeys(("3D000", 1049), _NO_DATABASE),
    **dict.fromkeys(("42501", 1142, 1143, 1227, 1370), _NO_RIGHTS),
    **dict.fromkeys(("53300", 1040, 1203, 1226), _CROWDED),
    **dict.fromkeys(("53100", "53200", 1021, 1041, 1114), _FULL),
    **dict.fromkeys(("57P03", 1053), _STARTING),
    **dict.fromkeys((2002, 2003, 2005), _UNREACHABLE),
}

# While it connects, libpq has no codes, only the server's words, which may be in any language.
_BY_WORDS: Final = {
    "password authentication failed": _ACCESS,
    "no pg_hba.conf entry": _ACCESS,
    "too many clients": _CROWDED,
    "too many connections": _CROWDED,
    "remaining connection slots": _CROWDED,
    "the database system is": _STARTING,
    'database "': _NO_DATABASE,
    'role "': _ACCESS,
    "unsupported startup parameter": _POOLER,
}
_NO_ANSWER: Final = ("connection ", "failed to resolve host", "could not translate host name")
_OF_TLS: Final = ("SSL", "certificate")
_OF_PATIENCE: Final = ("timed out", "(read timeout)")  # the latter is asyncmy's
_FATAL: Final = Meaning(
    "refused", "The database server refused the connection: check the user, the password and the database."
)

# What a PostgreSQL that goes away says to those who are connected.
GOING: Final[frozenset[int | str]] = frozenset({"57P01", "57P02", "57P05", "08003", "08006"})
# What tells that tables or columns are missing; SQLite tells it only in words.
NO_SCHEMA: Final[frozenset[int | str]] = frozenset(
    {"42P01", "42703", 1146, 1054, "no such table: ", "no such column: ", "has no column named "}
)
# Values that no row can hold: too long, too large, not in the character set, U+0000.
NOT_STORABLE: Final[frozenset[int | str]] = frozenset(
    {"22001", "22003", "22021", "22P02", "22P05", 1264, 1366, 1406, 3854, "cannot contain NUL (0x00)"}
)
IN_THE_WAY: Final[frozenset[int | str]] = frozenset({"42P07", 1050})

# By the name of SQLite's primary result code.
SQLITE: Final = {
    "SQLITE_BUSY": "The database is locked by another process, for longer than the busy timeout.",
    "SQLITE_LOCKED": "The database is locked by another connection of this process.",
    "SQLITE_CANTOPEN": "The database file cannot be opened: is its folder there, and open to this process?",
    "SQLITE_READONLY": "The database file, or the folder it is in, is read-only for this process.",
    "SQLITE_FULL": "The disk is full.",
    "SQLITE_IOERR": "The disk of the database file failed.",
    "SQLITE_CORRUPT": "The database file is damaged.",
    "SQLITE_NOTADB": "The file is not an SQLite database.",
}


def by_code(code: int | str | None, words: str) -> Meaning | None:
    """Give what a code means, if it is known here."""
    if code == 1290 and "read-only" in words.replace("_", "-"):  # noqa: PLR2004  (one number for many options)
        return READ_ONLY
    return None if code is None else _BY_CODE.get(code)


def by_words(words: str) -> Meaning | None:
    """Give what an error without a code means, by its words; None for one that nobody knows."""
    if "FATAL" in words:
        said = words.partition("FATAL")[2]
        return next((meaning for part, meaning in _BY_WORDS.items() if part in said), _FATAL)
    if words.startswith(_NO_ANSWER):
        return _TLS if any(part in words for part in _OF_TLS) else _UNREACHABLE
    return LATE if any(part in words for part in _OF_PATIENCE) else None
