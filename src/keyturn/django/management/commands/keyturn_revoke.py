"""`manage.py keyturn_revoke`: end one session, or all sessions of a user. It knows no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from keyturn.django.commands import user_id_from
from keyturn.django.conf import get_manager
from keyturn.errors import KeyturnError

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """End sessions, at once."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be chosen."""
        what = parser.add_mutually_exclusive_group(required=True)
        what.add_argument("--user", help="end all sessions of a user: the name, or the id as in tokens")
        what.add_argument("--session", help="end one session: its id")

    def handle(self, *_: Any, user: str | None, session: str | None, **__: Any) -> None:  # noqa: ANN401
        """End them, and say how many."""
        manager = get_manager()
        try:
            if session is not None:
                if not manager.revoke(session, reason="admin"):
                    raise CommandError(f"There is no session {session!r}.")
                self.stdout.write("The session has ended.")
            else:
                count = manager.revoke_user(user_id_from(user or "", manager), reason="admin")
                self.stdout.write(f"{count} sessions ended")
        except KeyturnError as error:
            raise CommandError(str(error)) from error
