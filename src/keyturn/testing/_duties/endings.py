"""Duty 2: lookups, revocations, and whether an access token still counts. They know no engine."""

from __future__ import annotations

from dataclasses import replace

from keyturn._core.commands import Check, Deny, Lookup, Purge, Revoke, RevokeUser
from keyturn._core.outcomes import Denied, Ended, Forged, Found, Live, Revocation, Unknown
from keyturn.stores.protocol import Store
from keyturn.testing._duties.asking import by_id, row_of, rows_of
from keyturn.testing.samples import (
    DAY,
    DIGEST,
    IDLE,
    ROW,
    T0,
    digest_of,
    marked,
    numbered,
    refresh_of,
    sign_in,
)

NOBODY = Revocation(found=False, ended=())
_NOW = T0 + DAY


def _revoke(user_id: str | None = None, digest: bytes | None = None, now: int = _NOW) -> Revoke:
    return Revoke(ROW.sid, user_id, digest, "logout", now)


class EndingDuties:
    """What `lookup`, `check`, `revoke`, `revoke_user` and `deny` must do."""

    def test_a_lookup_judges_the_secret_where_asked(self, subject: Store) -> None:
        """`lookup` finds, ended or not; a wrong secret is `Forged`; what is not there is `Unknown`."""
        subject.create(sign_in(ROW))
        assert subject.lookup(Lookup(ROW.sid)) == Found(ROW)
        assert subject.lookup(Lookup(ROW.sid, DIGEST)) == Found(ROW)
        assert subject.lookup(Lookup(ROW.sid, digest_of(b"a guess"))) == Forged(ROW)
        assert subject.lookup(Lookup(numbered(1).sid, DIGEST)) == Unknown()
        subject.revoke(_revoke())
        assert subject.lookup(Lookup(ROW.sid, DIGEST)) == Found(marked(ROW, "logout", _NOW))

    def test_a_revocation_names_whom_it_ended(self, subject: Store) -> None:
        """`revoke` marks the session with moment and reason, and gives it as it is then."""
        for command in (_revoke(), _revoke(user_id=ROW.user_id), _revoke(ROW.user_id, DIGEST)):
            subject.create(sign_in(ROW))
            assert subject.revoke(command) == Revocation(found=True, ended=(marked(ROW, "logout", _NOW),))
            assert row_of(subject, ROW.sid) == marked(ROW, "logout", _NOW)
            subject.delete([ROW.sid])

    def test_a_revocation_by_a_stranger_finds_nothing(self, subject: Store) -> None:
        """Another user's session, a wrong secret and an unknown id are all not found, and nothing changes."""
        subject.create(sign_in(ROW))
        stranger = _revoke(user_id="user-2", digest=DIGEST)
        for command in (
            stranger,
            _revoke(digest=digest_of(b"a guess")),
            replace(_revoke(), sid=numbered(1).sid),
        ):
            assert subject.revoke(command) == NOBODY
        assert rows_of(subject) == [ROW]

    def test_a_revocation_may_be_repeated(self, subject: Store) -> None:
        """A session that has ended is found, keeps its first end, and is not named again."""
        subject.create(sign_in(ROW))
        subject.revoke(_revoke())
        again = replace(_revoke(), reason="admin", now=T0 + 2 * DAY)
        assert subject.revoke(again) == Revocation(found=True, ended=())
        assert row_of(subject, ROW.sid) == marked(ROW, "logout", _NOW)

    def test_a_revocation_marks_what_has_expired(self, subject: Store) -> None:
        """A limit that has passed is no end that is marked: a clock may go back, a revocation must not."""
        now = T0 + IDLE + 1
        subject.create(sign_in(ROW))
        assert subject.revoke(_revoke(now=now)) == Revocation(found=True, ended=(marked(ROW, "logout", now),))
        assert subject.rotate(refresh_of(ROW, T0)) == Ended(marked(ROW, "logout", now), first=False)
        expired = numbered(2)
        subject.create(sign_in(expired))
        outcome = subject.revoke_user(RevokeUser(expired.user_id, None, "user", T0 + 100 * DAY))
        assert outcome.ended == (marked(expired, "user", T0 + 100 * DAY),)

    def test_all_sessions_of_a_user_end_at_once(self, subject: Store) -> None:
        """`revoke_user` ends all that have not been ended but the one to keep, and no other user's."""
        ended = marked(numbered(1), "logout", T0)
        kept, first, second, strange = numbered(2), numbered(3), numbered(4), numbered(5, user_id="user-2")
        for session in (ended, kept, first, second, strange):
            subject.create(sign_in(session))
        outcome = subject.revoke_user(RevokeUser("user-1", kept.sid, "user", _NOW))
        assert outcome.found
        assert by_id(outcome.ended) == [marked(first, "user", _NOW), marked(second, "user", _NOW)]
        rest = [ended, kept, marked(first, "user", _NOW), marked(second, "user", _NOW), strange]
        assert rows_of(subject) == rest
        assert subject.revoke_user(RevokeUser("user-1", kept.sid, "user", _NOW + 1)) == NOBODY
        assert subject.revoke_user(RevokeUser("nobody", None, "user", _NOW)) == NOBODY
        assert rows_of(subject) == rest

    def test_many_sessions_of_a_user_end_at_once(self, subject: Store) -> None:
        """Neither a page nor a statement's size limits how many sessions a revocation ends."""
        many = [numbered(number) for number in range(1200)]
        for session in many:
            subject.create(sign_in(session))
        outcome = subject.revoke_user(RevokeUser("user-1", None, "admin", _NOW))
        assert by_id(outcome.ended) == [marked(session, "admin", _NOW) for session in many]
        assert {row.revoked_at for row in rows_of(subject)} == {_NOW}

    def test_an_access_token_counts_while_its_session_lives(self, subject: Store) -> None:
        """`check` judges the session at the moment asked, marks nothing, and knows sessionless tokens."""
        subject.create(sign_in(ROW))
        assert subject.check(Check(ROW.sid, "a", T0)) == Live(ROW)
        assert subject.check(Check(ROW.sid, "a", T0 + IDLE - 1)) == Live(ROW)
        assert subject.check(Check(ROW.sid, "a", T0 + IDLE)) == Ended(ROW, first=False)
        assert subject.check(Check(ROW.sid, "a", ROW.expires_at)) == Ended(ROW, first=False)
        assert subject.check(Check(numbered(1).sid, "a", T0)) == Unknown()
        assert subject.check(Check(None, "a", T0)) == Live(None)
        assert rows_of(subject) == [ROW]
        subject.revoke(_revoke())
        assert subject.check(Check(ROW.sid, "a", T0)) == Ended(marked(ROW, "logout", _NOW), first=False)

    def test_a_denied_token_does_not_count(self, subject: Store) -> None:
        """A denial acts at once, on its id alone, until the moment it names; with a session or without."""
        subject.create(sign_in(ROW))
        unknown = numbered(1).sid
        for token, sid in (("a", ROW.sid), ("b", None), ("c", unknown)):
            subject.deny(Deny(token, expires_at=T0 + 10, reason="stolen", now=T0, sid=sid))
        assert subject.check(Check(ROW.sid, "a", T0)) == Denied()
        assert subject.check(Check(None, "b", T0 + 9)) == Denied()
        assert subject.check(Check(unknown, "c", T0 + 9)) == Denied()
        assert subject.check(Check(ROW.sid, "a", T0 + 10)) == Live(ROW)
        for other in ("A", "a ", "d", "%", ""):
            assert subject.check(Check(ROW.sid, other, T0)) == Live(ROW)
            assert subject.check(Check(None, other, T0)) == Live(None)

    def test_a_denial_may_be_repeated(self, subject: Store) -> None:
        """Denying again keeps the later expiry, in either order."""
        for token, first, second in (("a", 10, 20), ("b", 20, 10)):
            subject.deny(Deny(token, expires_at=T0 + first, reason="one", now=T0))
            subject.deny(Deny(token, expires_at=T0 + second, reason="two", now=T0 + 1))
            assert subject.check(Check(None, token, T0 + 19)) == Denied()
            assert subject.check(Check(None, token, T0 + 20)) == Live(None)

    def test_a_purge_forgets_denials_of_expired_tokens_only(self, subject: Store) -> None:
        """A denial goes at the moment it names, and not before."""
        for until in (9, 10, 11):
            subject.deny(Deny(f"token-{until}", expires_at=T0 + until, reason="test", now=T0))
        assert subject.purge(Purge(before=0, now=T0 + 10, limit=100)) == 2  # noqa: PLR2004 - 9 and 10
        assert subject.check(Check(None, "token-11", T0 + 10)) == Denied()
        assert subject.purge(Purge(before=0, now=T0 + 10, limit=100)) == 0
