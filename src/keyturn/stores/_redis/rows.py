"""Sessions, denials and lines of the trail as packed bytes: what `common.lua` says, in Python. No key here.

A session is a head of 48 bytes that operations change, 59 bytes of fixed width that they do not, and the
rest: user id, key thumbprint, and claims with device as one compressed JSON text. A value per session costs a
quarter of what a hash with a user agent in it costs. Compression knows the words that devices are made of, so
that a user agent takes some 30 bytes; reading it back costs a microsecond.
"""

from __future__ import annotations

import json
import zlib
from struct import Struct
from struct import error as StructError  # noqa: N812  (its own name says nothing)
from typing import TYPE_CHECKING, Final
from uuid import UUID

from keyturn._core.records import Session
from keyturn._core.trail import TrailEntry
from keyturn.errors import InvalidInput, SchemaError
from keyturn.stores._redis.driver import Anything

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keyturn._core.records import EndReason, Millis
    from keyturn._core.trail import TrailKind

VERSION: Final = 1
_VERSION_BYTE: Final = bytes([VERSION])
_NUMBER: Final = "HI"  # 6 bytes: 48 bits of milliseconds reach beyond the year 10000
_FIXED: Final = Struct(">BBc" + _NUMBER * 6 + "B8s" + _NUMBER * 4 + "32sBH")
_DENIAL: Final = Struct(">HIHI")
_LINE: Final = Struct(">16sB" + _NUMBER * 2 + "cHH")
_CONFIRMED, _IDLE_TTL, _IDLE_END, _ACCESS_TTL, _REVOKED = 1, 2, 4, 8, 16
_NO_KEY: Final = 255
_LIMIT: Final = 2**48
_DIGEST_BYTES: Final = 32
_BRANCH_BYTES: Final = 8

# One letter each, because scripts write some of them; "-" for none.
LETTERS: Final[dict[EndReason | None, bytes]] = {
    None: b"-",
    "logout": b"o",
    "revoked": b"v",
    "user": b"u",
    "admin": b"d",
    "reuse": b"r",
    "limit": b"m",
    "inactive": b"n",
    "idle": b"i",
    "absolute": b"a",
}
_REASONS: Final[dict[bytes, EndReason | None]] = {letter: reason for reason, letter in LETTERS.items()}

_KINDS: Final[dict[TrailKind, bytes]] = {
    "sign_in": b"s",
    "rotation": b"r",
    "convergence": b"c",
    "step_up": b"t",
    "reuse": b"u",
    "expiry": b"e",
    "revocation": b"v",
    "denial": b"d",
    "forgery": b"f",
}
_KIND_OF: Final[dict[bytes, TrailKind]] = {letter: kind for kind, letter in _KINDS.items()}

# Part of the format: another dictionary is another version. What is frequent stands last.
_WORDS: Final = (
    b'true,false,null,"id":"scope":"read write","email":"ip":"client":"platform":"app_version":"model":"os":'
    b'"roles":["admin","member"]}Dart/3.5 (dart:io)okhttp/4.12.0CFNetwork/1494.0.7 Darwin/23.4.0'
    b"Mozilla/5.0 (iPad; CPU OS 18_5 like Mac OS X) Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) "
    b"AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 Safari/605.1.15 SamsungBrowser/28.0 OPR/120.0.0.0"
    b"(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0 (Windows NT 10.0; Win64; x64; rv:140.0) "
    b"(iPhone; CPU iPhone OS 18_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.5 "
    b"Mobile/15E148 Safari/604.1 (Linux; Android 10; K) AppleWebKit/537.36 (KHTML, like Gecko) "
    b'Chrome/140.0.0.0 Mobile Safari/537.36 Edg/140.0.0.0"}][{},{"name":"Safari on iOS"Mobile Safari on iOS'
    b'Firefox on Linux"Edge on Windows"Chrome on Mac OS X"Firefox on Windows"Chrome Mobile on Android"'
    b'Chrome on Windows","user_agent":"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 '
    b'(KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"}]'
)
_WINDOW_BITS: Final = -15  # negative: bare deflate, without a header and a checksum
_MEMORY: Final = 4  # a sixteenth of the default: texts are short, and setting up memory is most of the work


def pack(session: Session) -> bytes:
    """Pack a session.

    Raises:
        InvalidInput: A value has no place in a row: a moment before 1970, a digest that is no SHA-256.
    """
    s = session
    if len(s.secret_digest) != _DIGEST_BYTES or len(s.parent_branch) > _BRANCH_BYTES:
        raise InvalidInput("A secret's digest has 32 bytes, a branch at most 8.", detail="not_storable")
    flags = (
        (s.confirmed and _CONFIRMED)
        | (s.idle_ttl is not None and _IDLE_TTL)
        | (s.idle_expires_at is not None and _IDLE_END)
        | (s.access_ttl is not None and _ACCESS_TTL)
        | (s.revoked_at is not None and _REVOKED)
    )
    try:
        user = s.user_id.encode()
        key = b"" if s.jkt is None else s.jkt.encode()
        if len(key) >= _NO_KEY:
            raise _not_storable()
        fixed = _FIXED.pack(
            VERSION,
            flags,
            LETTERS[s.revoked_reason],
            *_split(s.gen, s.rotated_at, s.handed_at, s.last_seen_at, s.idle_expires_at, s.revoked_at),
            len(s.parent_branch),
            s.parent_branch,
            *_split(s.created_at, s.expires_at, s.idle_ttl, s.access_ttl),
            s.secret_digest,
            _NO_KEY if s.jkt is None else len(key),
            len(user),
        )
        return b"%b%b%b%b" % (fixed, user, key, _deflated([s.claims, s.device]))
    except (StructError, UnicodeEncodeError, KeyError, TypeError, ValueError) as error:
        raise _not_storable() from error


def unpack(sid: UUID, value: bytes) -> Session:
    """Read a packed session.

    Raises:
        SchemaError: A version of Keyturn wrote it that this one does not know, or something else did.
    """
    if value[:1] != _VERSION_BYTE:
        raise newer()
    try:
        return _unpacked(sid, value)
    except (StructError, zlib.error, KeyError, ValueError) as error:
        raise SchemaError(
            "A session in this Redis cannot be read: something other than Keyturn has written to its key.",
            detail="unreadable_row",
        ) from error


def _unpacked(sid: UUID, value: bytes) -> Session:
    # A number is two halves, the upper one with an underscore.
    # fmt: off
    (_, flags, reason, gen_, gen, rotated_, rotated, handed_, handed, seen_, seen, idle_, idle,
     revoked_, revoked, branch_size, branch, created_, created, expires_, expires,
     idle_ttl_, idle_ttl, access_ttl_, access_ttl, digest, key_size, user_size) = _FIXED.unpack_from(value)
    # fmt: on
    at = _FIXED.size + user_size
    end = at if key_size == _NO_KEY else at + key_size
    claims, device = _inflated(value[end:])
    return Session(
        sid=sid,
        user_id=value[_FIXED.size : at].decode(),
        secret_digest=digest,
        gen=gen_ << 32 | gen,
        parent_branch=branch[:branch_size],
        confirmed=bool(flags & _CONFIRMED),
        created_at=created_ << 32 | created,
        rotated_at=rotated_ << 32 | rotated,
        handed_at=handed_ << 32 | handed,
        last_seen_at=seen_ << 32 | seen,
        idle_ttl=idle_ttl_ << 32 | idle_ttl if flags & _IDLE_TTL else None,
        idle_expires_at=idle_ << 32 | idle if flags & _IDLE_END else None,
        expires_at=expires_ << 32 | expires,
        access_ttl=access_ttl_ << 32 | access_ttl if flags & _ACCESS_TTL else None,
        revoked_at=revoked_ << 32 | revoked if flags & _REVOKED else None,
        revoked_reason=_REASONS[reason],
        claims=claims,
        device=device,
        jkt=None if key_size == _NO_KEY else value[at:end].decode(),
    )


def unpack_all(pairs: Sequence[bytes]) -> tuple[Session, ...]:
    """Read what a script sends of several sessions: id and row in turns."""
    return tuple(unpack(UUID(bytes=pairs[at]), pairs[at + 1]) for at in range(0, len(pairs), 2))


def pack_denial(expires_at: Millis, denied_at: Millis, reason: str) -> bytes:
    """Pack a denial.

    Raises:
        InvalidInput: A value has no place in it.
    """
    try:
        return _DENIAL.pack(*_split(expires_at, denied_at)) + reason.encode()
    except (StructError, UnicodeEncodeError) as error:
        raise _not_storable() from error


def denies(value: bytes | None, now: Millis) -> bool:
    """Tell whether a packed denial, if there is one, still holds."""
    return value is not None and int.from_bytes(value[:6], "big") > now


def pack_line(entry: TrailEntry) -> bytes:
    """Pack a line of the audit trail. Lines sort by their first bytes, the line's id.

    Raises:
        InvalidInput: A value has no place in it.
    """
    try:
        reason, context = entry.reason.encode(), entry.context.encode()
        fixed = _LINE.pack(
            entry.id.bytes,
            VERSION,
            *_split(entry.at, entry.gen),
            _KINDS[entry.kind],
            len(reason),
            len(context),
        )
        return b"%b%b%b%b" % (fixed, reason, context, _deflated(entry.device))
    except (StructError, UnicodeEncodeError, KeyError, TypeError, ValueError) as error:
        raise _not_storable() from error


def unpack_line(sid: UUID, value: bytes) -> TrailEntry:
    """Read a packed line of a session's audit trail."""
    line_id, version, at_, at, gen_, gen, kind, reason_size, context_size = _LINE.unpack_from(value)
    if version != VERSION:
        raise newer()
    middle = _LINE.size + reason_size
    end = middle + context_size
    return TrailEntry(
        id=UUID(bytes=line_id),
        sid=sid,
        at=at_ << 32 | at,
        kind=_KIND_OF[kind],
        reason=value[_LINE.size : middle].decode(),
        gen=gen_ << 32 | gen,
        device=_inflated(value[end:]),
        context=value[middle:end].decode(),
    )


def is_moment(value: Millis) -> bool:
    """Tell whether a moment or a span has a place in a row."""
    return 0 <= value < _LIMIT


def newer() -> SchemaError:
    """Return what to raise where a row is of a version that this Keyturn does not know."""
    return SchemaError(
        "The sessions in this Redis were written by a newer version of Keyturn: upgrade Keyturn here, too.",
        detail="newer_rows",
    )


def _not_storable() -> InvalidInput:
    return InvalidInput("A value cannot be stored.", detail="not_storable")


def _split(*numbers: int | None) -> list[int]:
    # In two halves, because `struct` knows no 6 bytes.
    halves: list[int] = []
    for number in numbers:
        halves += (0, 0) if number is None else (number >> 32, number & 0xFFFFFFFF)
    return halves


def _deflated(value: Anything) -> bytes:
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    packer = zlib.compressobj(9, zlib.DEFLATED, _WINDOW_BITS, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _WORDS)
    return packer.compress(text) + packer.flush()


def _inflated(value: bytes) -> Anything:
    return json.loads(zlib.decompressobj(_WINDOW_BITS, _WORDS).decompress(value).decode())
