"""The tables: sessions, denials, the audit trail and the locks of users. They know no operation.

Times are whole milliseconds since the Unix epoch (UTC), as the core counts them; the properties beside them
are for people. No row holds a token: of a session's secret there is a SHA-256 digest.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final, Literal, TypeAlias
from uuid import UUID

from django.db import models
from django.utils.translation import gettext_lazy as _

from keyturn._core.records import Json
from keyturn.django.fields import ExactCharField, JsonTextField

State: TypeAlias = Literal["active", "expired", "ended"]

STRIPES: Final = 256  # rows that stand for the locks of users: two users rarely share one


class AbstractSession(models.Model):
    """One sign-in on one client. Derive your own session model from it to add columns, each with a default.

    The columns are the fields of `keyturn.stores.protocol.Session`, by name. Keyturn itself writes no other
    column, and never reads a row through a default manager that hides some.
    """

    # No index may hold a column that a refresh changes: then PostgreSQL rewrites the row in place (HOT).
    sid: models.UUIDField[UUID, UUID] = models.UUIDField(_("session id"), primary_key=True, editable=False)
    user_id: models.CharField[str, str] = ExactCharField(_("user id"), max_length=255, editable=False)
    secret_digest: models.BinaryField[bytes, bytes] = models.BinaryField(max_length=32, editable=False)
    gen: models.BigIntegerField[int, int] = models.BigIntegerField(_("generation"), editable=False)
    parent_branch: models.BinaryField[bytes, bytes] = models.BinaryField(max_length=8, editable=False)
    confirmed: models.BooleanField[bool, bool] = models.BooleanField(editable=False)
    created_at: models.BigIntegerField[int, int] = models.BigIntegerField(editable=False)
    rotated_at: models.BigIntegerField[int, int] = models.BigIntegerField(editable=False)
    handed_at: models.BigIntegerField[int, int] = models.BigIntegerField(editable=False)
    last_seen_at: models.BigIntegerField[int, int] = models.BigIntegerField(editable=False)
    idle_ttl: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, editable=False
    )
    idle_expires_at: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, editable=False
    )
    expires_at: models.BigIntegerField[int, int] = models.BigIntegerField(editable=False)
    access_ttl: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, editable=False
    )
    revoked_at: models.BigIntegerField[int | None, int | None] = models.BigIntegerField(
        null=True, editable=False
    )
    revoked_reason: models.CharField[str | None, str | None] = ExactCharField(
        _("reason"), max_length=16, null=True, editable=False
    )
    claims: models.TextField[Json, dict[str, Any]] = JsonTextField(editable=False)
    device: models.TextField[Json, dict[str, Any]] = JsonTextField(editable=False)
    jkt: models.CharField[str | None, str | None] = ExactCharField(max_length=64, null=True, editable=False)

    class Meta:
        """For whoever derives a model: `class Meta(AbstractSession.Meta)` keeps the indexes and the right."""

        abstract = True
        verbose_name = _("session")
        verbose_name_plural = _("sessions")
        # Without names, because those of two models must differ: Django makes them.
        indexes = (
            models.Index(fields=["user_id", "sid"]),
            models.Index(fields=["expires_at", "sid"]),
        )
        default_permissions = ("view",)  # nothing is added, changed or deleted by hand
        permissions = (("revoke_session", _("Can revoke sessions")),)

    def __str__(self) -> str:
        """Name the session, and nothing secret."""
        return str(self.sid)

    @property
    def created(self) -> datetime:
        """When the user signed in."""
        return moment(self.created_at)

    @property
    def last_seen(self) -> datetime:
        """When the session was last seen in use."""
        return moment(self.last_seen_at)

    @property
    def expires(self) -> datetime:
        """When it ends if it rests unused: the nearer of its two limits."""
        return moment(self._rests_until())

    @property
    def ended(self) -> datetime | None:
        """When it was ended; None while it lives, or if it expired and nobody looked."""
        return None if self.revoked_at is None else moment(self.revoked_at)

    def state_at(self, now: int) -> State:
        """Tell whether it lives at a moment, in milliseconds."""
        if self.revoked_at is not None:
            return "expired" if self.revoked_reason in {"idle", "absolute"} else "ended"
        return "active" if self._rests_until() > now else "expired"

    def _rests_until(self) -> int:
        return min(self.expires_at, self.expires_at if self.idle_expires_at is None else self.idle_expires_at)


class Session(AbstractSession):
    """The session model where a project has none of its own (`KEYTURN_SESSION_MODEL`)."""

    class Meta(AbstractSession.Meta):
        """A project may put its own in its place."""

        swappable = "KEYTURN_SESSION_MODEL"


class Denial(models.Model):
    """One access token that is refused before its expiry, by its `jti`."""

    token_id: models.CharField[str, str] = ExactCharField(primary_key=True, max_length=255)
    expires_at: models.BigIntegerField[int, int] = models.BigIntegerField()
    reason: models.CharField[str, str] = ExactCharField(max_length=255)
    denied_at: models.BigIntegerField[int, int] = models.BigIntegerField()

    class Meta:
        """By expiry, to be purged."""

        default_permissions = ()
        indexes = (models.Index(fields=["expires_at", "token_id"]),)

    def __str__(self) -> str:
        """Name the token."""
        return self.token_id


class TrailLine(models.Model):
    """One line of the audit trail. It outlives its session, so it does not refer to its row.

    The columns are the fields of `keyturn.stores.protocol.TrailEntry`, by name.
    """

    id: models.UUIDField[UUID, UUID] = models.UUIDField(primary_key=True)
    sid: models.UUIDField[UUID, UUID] = models.UUIDField()
    at: models.BigIntegerField[int, int] = models.BigIntegerField()
    kind: models.CharField[str, str] = ExactCharField(max_length=16)
    reason: models.CharField[str, str] = ExactCharField(max_length=255)
    gen: models.BigIntegerField[int, int] = models.BigIntegerField()
    device: models.TextField[Json, dict[str, Any]] = JsonTextField()
    context: models.CharField[str, str] = ExactCharField(max_length=16)

    class Meta:
        """By session, to be read, and by age, to be forgotten."""

        default_permissions = ()
        indexes = (models.Index(fields=["sid", "id"]), models.Index(fields=["at", "id"]))

    def __str__(self) -> str:
        """Say what happened."""
        return f"{self.kind} {self.reason}".strip()


class UserLock(models.Model):
    """A row that stands for the locks of some users: rows that are not there yet cannot be locked."""

    stripe: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(primary_key=True)

    class Meta:
        """Nobody's business."""

        default_permissions = ()

    def __str__(self) -> str:
        """Name the stripe."""
        return str(self.stripe)


def moment(milliseconds: int) -> datetime:
    """Turn the core's time into Django's.

    Args:
        milliseconds: Since the Unix epoch (UTC).
    """
    return datetime.fromtimestamp(milliseconds / 1000, UTC)
