"""`manage.py keyturn_purge`: remove what no late replay needs any more, batch by batch. It knows no table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.core.management.base import BaseCommand, CommandError

from keyturn.django.conf import get_manager
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

    def handle(self, *_: Any, retention: str, batch: int, verbosity: int, **__: Any) -> None:  # noqa: ANN401
        """Remove them, and say how many."""

        def tell(removed: int) -> None:
            if verbosity > 1:
                self.stdout.write(f"{removed} rows removed so far")

        try:
            removed = get_manager().purge(retention=retention, batch=batch, progress=tell)
        except KeyturnError as error:
            raise CommandError(str(error)) from error
        if verbosity:
            self.stdout.write(f"{removed} rows removed")
