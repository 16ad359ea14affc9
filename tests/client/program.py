"""A program that shares a token file with others: run by the tests as a process of its own. No rule here.

Usage: program.py ask|hold FILE URL NOW. It says "ready", waits for a line, and then says what came of it.
"""

from __future__ import annotations

import sys

import httpx

from keyturn.client import FileTokens, KeyturnAuth


def main() -> None:
    """Ask once, or lock the file and never let go."""
    deed, file, url, now = sys.argv[1:]
    store = FileTokens(file)
    auth = KeyturnAuth(f"{url}/auth", store=store, clock=lambda: float(now))
    print("ready", flush=True)  # noqa: T201 - the tests read it
    sys.stdin.readline()
    if deed == "hold":
        print(store.try_lock(), flush=True)  # noqa: T201 - as above
        sys.stdin.readline()
        return
    with httpx.Client(auth=auth, trust_env=False) as client:
        print(client.get(f"{url}/private").status_code, flush=True)  # noqa: T201 - as above


if __name__ == "__main__":
    main()
