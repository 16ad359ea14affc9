"""`manage.py keyturn_purge`: remove what no late replay needs any more, batch by batch. It knows no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from keyturn.django.conf import get_manager, get_settings
from keyturn.django.sessions import get_session_model
from keyturn.django.store import DjangoStore
from keyturn.durations import seconds
from keyturn.errors import KeyturnError
from keyturn.manager_base import DEFAULT_BATCH, DEFAULT_RETENTION

if TYPE_CHECKING:
    from argparse import ArgumentParser


class Command(BaseCommand):
    """Remove sessions whose absolute end is long ago, expired denials, and old lines of the audit trail."""

    help = __doc__ or ""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Say what may be chosen."""
        parser.add_argument(
            "--retention",
            default=DEFAULT_RETENTION,
            help="how long to keep a session after its absolute end, such as 60d (%(default)s)",
        )
        parser.add_argument(
            "--batch", type=int, default=DEFAULT_BATCH, help="rows to remove at once (%(default)s)"
        )
        parser.add_argument("--dry-run", action="store_true", help="only say how many sessions would go")

    def handle(
        self,
        *_: Any,  # noqa: ANN401
        retention: str,
        batch: int,
        dry_run: bool,
        verbosity: int,
        **__: Any,  # noqa: ANN401
    ) -> None:
        """Remove them, and say how many."""

        def tell(removed: int) -> None:
            if verbosity > 1:
                self.stdout.write(f"{removed} rows removed so far")

        try:
            if dry_run:
                self.stdout.write(f"would remove {_count(retention)} sessions")
                return
            removed = get_manager().purge(retention=retention, batch=batch, progress=tell)
        except KeyturnError as error:
            raise CommandError(str(error)) from error
        if verbosity:
            self.stdout.write(f"{removed} rows removed")


def _count(retention: str) -> int:
    """Count the sessions that a purge would remove.

    Raises:
        CommandError: They are not in a database of Django's.
        ConfigurationError: The retention is no duration.
    """
    settings = get_settings()
    if settings.store is not None:
        raise CommandError("--dry-run counts in Django's database, and the sessions are in another STORE.")
    before = round((get_manager().now() - seconds(retention, name="retention")) * 1000)
    connection = DjangoStore(using=settings.database).connection()
    rows = get_session_model()._base_manager.using(connection.alias)  # noqa: SLF001  (none is hidden)
    return rows.filter(expires_at__lt=before).count()
