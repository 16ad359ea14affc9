"""`manage.py keyturn_sessions`: list a user's sessions. It knows no table."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from keyturn.django.commands import user_id_from
from keyturn.django.conf import get_manager
from keyturn.errors import KeyturnError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """List a user's sessions, the newest first."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be chosen."""
        parser.add_argument("--user", required=True, help="the name of a user, or the id as in tokens")
        parser.add_argument("--all", action="store_true", help="those that have ended, too")

    def handle(self, *_: Any, user: str, all: bool, **__: Any) -> None:  # noqa: A002, ANN401
        """List them."""
        manager = get_manager()
        try:
            found = manager.sessions(user_id_from(user, manager), active=not all)
        except KeyturnError as error:
            raise CommandError(str(error)) from error
        for each in found:
            seen = datetime.fromtimestamp(each.last_seen_at, UTC).isoformat(" ", "seconds")
            device = ", ".join(str(value) for value in each.device.values() if value)
            self.stdout.write(
                f"{each.id}  {each.end_reason or 'active'}  last seen {seen}  {device}".rstrip()
            )
        self.stdout.write(f"{len(found)} sessions")
