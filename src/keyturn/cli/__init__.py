"""The command line. It knows no rule of the lifecycle: it asks managers, users and stores."""

from __future__ import annotations

import sys


def main() -> None:
    """Run `keyturn`; where its packages are missing, say in one sentence what brings them."""
    try:
        from keyturn.cli.root import keyturn  # noqa: PLC0415  (its packages may not be installed)
    except ImportError as error:
        sys.exit(
            f"The command line cannot start ({error}); pip install 'keyturn[server]' brings what it needs."
        )
    keyturn(prog_name="keyturn")
