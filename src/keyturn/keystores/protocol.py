"""What a key store does: it keeps one document, and lets one of several writers win. It knows no key."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import sha256
from typing import Protocol, Self

from keyturn.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class Document:
    """What a key store holds.

    Attributes:
        data: The ring, in clear or encrypted.
        version: Tells this content from any other.
    """

    data: bytes = field(repr=False)
    version: str

    @classmethod
    def of(cls, data: bytes) -> Self:
        """Give content its version: its SHA-256."""
        return cls(data, sha256(data).hexdigest())

    @classmethod
    def kept(cls, data: bytes, version: str | None, where: str) -> Self:
        """Take content that is kept beside its version.

        Raises:
            ConfigurationError: The version is another's, so that a change would not be noticed.
        """
        document = cls.of(data)
        if document.version != version:
            raise ConfigurationError(
                f"the keys in {where} were changed by something else than Keyturn: their version is not that "
                "of their content; put both back together"
            )
        return document


class KeyStore(Protocol):
    """Keeps the document of a key ring for all processes of an issuer.

    Its methods block. No token waits for them: they are called at a start, by administrators, and by a thread
    that reads from time to time.
    """

    @property
    def where(self) -> str:
        """Where it is, for people; no password is in it."""
        ...

    def prepare(self) -> None:
        """Make what the store needs, such as its table. Safe when several processes start at once.

        Raises:
            StoreError: It cannot be made.
        """
        ...

    def read(self) -> Document | None:
        """Give what is kept; None where nothing is yet.

        Raises:
            StoreError: It cannot be asked.
            ConfigurationError: What is kept may not be read, as it is.
        """
        ...

    def replace(self, data: bytes, /, *, version: str | None) -> bool:
        """Keep something else in the place of what was read.

        Args:
            data: The document.
            version: Of what it replaces; None: there must be nothing yet.

        Returns:
            Whether it was done: False where somebody else was faster.

        Raises:
            StoreError: It cannot be asked, or nobody knows whether it was done.
        """
        ...

    def close(self) -> None:
        """Give connections back."""
        ...
