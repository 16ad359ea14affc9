"""Tables with so many rows that a database thinks twice before it reads one whole. No store here."""
# ruff: noqa: S608  (the SQL is made of constants of this file)

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from sqlalchemy import Engine, insert

from keyturn._core.records import Session
from keyturn.stores._sql.tables import sessions, to_row
from tests.support.sql import SqlName

# For each engine: the numbers from 1 on, the id of a row, and a text that ends in a number.
SERIES: Final = {
    "sqlite": (
        "(WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s LIMIT {most}) SELECT n FROM s) AS s",
        "printf('0%031x', n)",
        "'filler-' || n",
    ),
    "postgres": (
        "generate_series(1, {most}) AS s(n)",
        "('0' || lpad(to_hex(n), 31, '0'))::uuid",
        "'filler-' || n",
    ),
    "mariadb": (
        "(SELECT seq AS n FROM seq_1_to_{most}) AS s",
        "UNHEX(LPAD(HEX(n), 32, '0'))",
        "CONCAT('filler-', n)",
    ),
}
LINE: Final = "kind, subject, at"


def fill(engine: Engine, on: SqlName, real: Sequence[Session], *, until: int, now: int) -> None:
    """Add sessions, and fillers until there are so many; as many of all else."""
    series, sid, text = SERIES[on]
    numbers = series.format(most=until - len(real))
    rest = ", ".join(column.name for column in list(sessions.columns)[2:])
    pattern = f"(SELECT {rest} FROM keyturn_sessions LIMIT 1) AS pattern"
    names = "keyturn_sessions, keyturn_denials, keyturn_trail, keyturn_revocations"
    tables = f"TABLE {names}" if on == "mariadb" else ""
    with engine.connect() as connection:
        connection.execute(insert(sessions), [to_row(session) for session in real])
        for statement in (
            f"INSERT INTO keyturn_sessions SELECT {sid}, {text}, {rest} FROM {numbers} CROSS JOIN {pattern}",
            f"INSERT INTO keyturn_denials SELECT {text}, {now * 2} + n, '', {now} FROM {numbers}",
            f"INSERT INTO keyturn_trail SELECT {sid}, {sid}, {now}, 'x', '', 0, '{{}}', '' FROM {numbers}",
            f"INSERT INTO keyturn_revocations ({LINE}) SELECT 'token', {text}, {now} FROM {numbers}",
            f"ANALYZE {tables}",
        ):
            connection.exec_driver_sql(statement)
