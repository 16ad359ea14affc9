"""Users with UUID keys, and a session model of the project's own."""

from __future__ import annotations

import uuid

from django.contrib.auth.models import AbstractUser
from django.db import models

from keyturn.django.models import AbstractSession


class User(AbstractUser):
    """A user with a UUID as the key."""

    id: models.UUIDField[uuid.UUID, uuid.UUID] = models.UUIDField(primary_key=True, default=uuid.uuid4)


class TenantSession(AbstractSession):
    """A session model with a column more; used where `KEYTURN_SESSION_MODEL` says so."""

    tenant: models.CharField[str, str] = models.CharField(max_length=20, default="main")

    class Meta(AbstractSession.Meta):
        """As its base."""
