"""What Alembic starts for the users' migrations. It knows no version."""

from __future__ import annotations

from keyturn.stores.schema import run_migrations

run_migrations()
