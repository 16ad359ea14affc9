"""Tokens in the system's keyring: Secret Service, KWallet, Keychain. It knows no server and no request."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Final

try:
    import keyring
    from keyring.errors import KeyringError, PasswordDeleteError
except ImportError as error:
    raise ImportError("keyturn.client.keyring needs its extra: pip install 'keyturn[keyring]'") from error

from keyturn.client.stores import ProcessLock
from keyturn.client.tokens import Tokens, dump_tokens, parse_tokens
from keyturn.errors import ConfigurationError

_LOCK_FOLDER: Final = ".keyturn"
_NAME_DIGITS: Final = 32


class KeyringTokens(ProcessLock):
    """Tokens in the system's keyring.

    A keyring cannot be locked, and an older refresh token must never overwrite a newer one, so processes
    exclude each other by a lock file, which holds nothing.
    """

    def __init__(self, service: str, username: str, *, lock_file: str | Path | None = None) -> None:
        """Use one entry of the keyring.

        Args:
            service: The name that people see in their keyring, such as your program's.
            username: Whose tokens they are.
            lock_file: Where processes exclude each other; None: a file in `~/.keyturn` of the entry's own.

        Raises:
            ConfigurationError: There is no home folder in which the lock file could be.
        """
        self._service, self._username = service, username
        super().__init__(_lock_file_of(service, username) if lock_file is None else Path(lock_file))

    def __repr__(self) -> str:
        """Show which entry it is."""
        return f"KeyringTokens({self._service!r}, {self._username!r})"

    def load(self) -> Tokens | None:
        """See `TokenStore.load`.

        Raises:
            ConfigurationError: The keyring cannot be used, or the entry holds something else.
        """
        try:
            found = keyring.get_password(self._service, self._username)
        except KeyringError as error:
            raise _unusable(error) from None
        return None if found is None else parse_tokens(found.encode(), where=f"the keyring entry of {self!r}")

    def save(self, tokens: Tokens, /) -> None:
        """See `TokenStore.save`."""
        try:
            keyring.set_password(self._service, self._username, dump_tokens(tokens).decode())
        except KeyringError as error:
            raise _unusable(error) from None

    def clear(self) -> None:
        """See `TokenStore.clear`."""
        try:
            if keyring.get_password(self._service, self._username) is not None:
                keyring.delete_password(self._service, self._username)
        except PasswordDeleteError:
            pass  # somebody else has removed it meanwhile
        except KeyringError as error:
            raise _unusable(error) from None


def _unusable(error: KeyringError) -> ConfigurationError:
    """Say which kind of error it was; its text is a backend's own, and may quote what it was given."""
    return ConfigurationError(f"the system's keyring cannot be used: {type(error).__name__}")


def _lock_file_of(service: str, username: str) -> Path:
    name = hashlib.sha256(f"{len(service)}:{service}{username}".encode()).hexdigest()[:_NAME_DIGITS]
    try:
        folder = Path.home() / _LOCK_FOLDER
        folder.mkdir(mode=0o700, exist_ok=True)
    except (OSError, RuntimeError) as error:  # a RuntimeError: there is no home
        raise ConfigurationError(
            f"there is no place for a lock file; name one with lock_file=: {error}"
        ) from None
    return folder / f"{name}.lock"
