"""The names of keys: all of a user's are in one slot. They know no script and no connection.

```
keyturn:{a3f}:s:<session id>    the packed session; 16 raw bytes of id, as everywhere here
keyturn:{a3f}:u:<user id>       the ids of the user's sessions, each with the moment it may be forgotten
keyturn:{a3f}:d:<token id>      a denied access token
keyturn:{a3f}:h:<session id>    the audit trail of a session
keyturn:{log}:r                 the revocation log of all users
```

What stands in braces decides the slot (Redis Cluster specification, "hash tags"): the user's bucket, which
session ids carry; "log" is none, so no pattern of the others fits.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from keyturn._core.ids import bucket_of_session, bucket_of_user
from keyturn.errors import ConfigurationError, InvalidInput

if TYPE_CHECKING:
    from uuid import UUID

BUCKETS: Final = 4096
_PREFIX: Final = re.compile(r"[A-Za-z0-9_.:/-]{1,64}", re.ASCII)  # nothing that a pattern or a slot reads
_BUCKET: Final = b"{[0-9a-f][0-9a-f][0-9a-f]}"
_ANY_SID: Final = b"?" * 16


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of one store.

    Attributes:
        bases: What the keys of each bucket begin with.
        sessions: The pattern of all session keys.
        purged: The pattern of all keys of sessions and denials.
        trails: The pattern of all trails.
        log: The key of the revocation log.
        kind_at: Where in a key the letter of its kind stands, counted from 1 as Lua does.
    """

    bases: tuple[bytes, ...] = field(repr=False)
    sessions: bytes
    purged: bytes
    trails: bytes
    log: bytes
    kind_at: int

    def session(self, sid: UUID) -> bytes:
        """Name the key of a session."""
        return b"%bs:%b" % (self.bases[bucket_of_session(sid)], sid.bytes)

    def trail(self, sid: UUID) -> bytes:
        """Name the key of a session's audit trail."""
        return b"%bh:%b" % (self.bases[bucket_of_session(sid)], sid.bytes)

    def base(self, user_id: str) -> bytes:
        """Give what the keys of a user begin with."""
        return self.bases[bucket_of_user(storable(user_id))]

    def index(self, user_id: str) -> bytes:
        """Name the key of a user's index."""
        return b"%bu:%b" % (self.base(user_id), user_id.encode())

    def denial(self, sid: UUID | None, token_id: str) -> bytes:
        """Name the key of a denial: beside its session, or in a bucket of the token's own."""
        bucket = bucket_of_user(storable(token_id)) if sid is None else bucket_of_session(sid)
        return b"%bd:%b" % (self.bases[bucket], storable(token_id).encode())


def keys_of(prefix: str) -> Keys:
    """Give the keys that begin with a prefix.

    Raises:
        ConfigurationError: The prefix is not usable.
    """
    if not _PREFIX.fullmatch(prefix):
        raise ConfigurationError("prefix must be 1 to 64 characters out of A-Z a-z 0-9 _ . : / -")
    start = prefix.encode()
    every = b"%b:%b:" % (start, _BUCKET)
    return Keys(
        bases=tuple(b"%b:{%03x}:" % (start, bucket) for bucket in range(BUCKETS)),
        sessions=b"%bs:%b" % (every, _ANY_SID),
        purged=b"%b[sd]:*" % every,
        trails=b"%bh:%b" % (every, _ANY_SID),
        log=b"%b:{log}:r" % start,
        kind_at=len(start) + len(":{000}:") + 1,
    )


def storable(text: str) -> str:
    """Refuse text that has no UTF-8.

    Raises:
        InvalidInput: It holds half of a surrogate pair.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("A value cannot be stored.", detail="not_storable") from error
    return text
