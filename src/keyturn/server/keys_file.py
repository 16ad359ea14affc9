"""The keys file: loaded, or made once however many processes start at once. It knows no server."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from keyturn._core.keyset import Algorithm
from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing


def load_or_create(path: Path, alg: Algorithm) -> tuple[KeyRing, bool]:
    """Load the ring, or make one where there is none.

    Args:
        path: The file.
        alg: What a new ring signs with.

    Returns:
        The ring, and whether it is new.

    Raises:
        ConfigurationError: The file cannot be read or written, or others may read it.
    """
    if not path.exists() and create(path, alg):
        return KeyRing.load(path), True
    return KeyRing.load(path), False


def create(path: Path, alg: Algorithm) -> bool:
    """Make a file with a new ring, readable to its owner only, unless there is a file.

    The ring is complete before it gets the name, and a name is given once: of two processes one wins, and
    both then load the same ring.

    Returns:
        Whether this call made it.

    Raises:
        ConfigurationError: It cannot be written.
    """
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    KeyRing.generate(alg).save(draft)
    try:
        os.link(draft, path)
    except FileExistsError:
        return False
    except OSError as error:
        raise ConfigurationError(f"cannot write the key file {path}: {error.strerror}") from None
    finally:
        draft.unlink()
    return True
