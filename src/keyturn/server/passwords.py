"""Passwords: their rules, and their argon2 hashes. It knows no user and no event loop.

The one rule is length (NIST SP 800-63B-4, section 3.1.1.2): no classes of characters, no expiry.
"""

from __future__ import annotations

import unicodedata
from functools import cached_property
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from keyturn.errors import InvalidInput

SHORTEST: Final = 8
LONGEST: Final = 1024


class Passwords:
    """Hashes and verifies; each call takes tens of milliseconds and 64 MiB, so never on an event loop."""

    def __init__(self, hasher: PasswordHasher | None = None) -> None:
        """Choose parameters.

        Args:
            hasher: The parameters of new hashes; None: those of argon2-cffi (RFC 9106).
        """
        self._hasher = hasher or PasswordHasher()

    @cached_property
    def _nobody(self) -> str:
        return self._hasher.hash("nobody's password")

    def prepare(self) -> None:
        """Make the hash that stands in for users who do not exist: not even the first one is slower."""
        _ = self._nobody

    def hash(self, password: str) -> str:
        """Hash a password that keeps the rules.

        Raises:
            InvalidInput: It breaks one; the message says which.
        """
        return self._hasher.hash(check_password(password))

    def verify(self, stored: str | None, password: str) -> bool:
        """Compare a password with a hash, or for the same time with nobody's.

        Args:
            stored: The hash; None where there is no such user.
            password: What was typed.
        """
        typed = _normalised(password)
        if typed is None or len(typed) > LONGEST:  # says nothing about any user
            return False
        try:
            self._hasher.verify(stored or self._nobody, typed)
        except (VerificationError, InvalidHashError):
            return False
        return stored is not None

    def is_outdated(self, stored: str) -> bool:
        """Tell whether a hash was made with other parameters than those of today."""
        return self._hasher.check_needs_rehash(stored)


def check_password(password: str) -> str:
    """Give a new password as it is hashed, or say what is wrong with it.

    Raises:
        InvalidInput: It is too short, too long, or holds what cannot be typed.
    """
    typed = _normalised(password)
    if typed is None:
        raise InvalidInput("A password must not hold a NUL character or half of a surrogate pair.")
    if len(typed) < SHORTEST:
        raise InvalidInput(f"A password needs at least {SHORTEST} characters.")
    if len(typed) > LONGEST:
        raise InvalidInput(f"A password must not have more than {LONGEST} characters.")
    return typed


def _normalised(password: str) -> str | None:
    """Give one spelling to what looks alike on every keyboard; None where it cannot be a password."""
    if len(password) > 4 * LONGEST or "\0" in password:  # bounded before any work
        return None
    try:
        password.encode()
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFC", password)
