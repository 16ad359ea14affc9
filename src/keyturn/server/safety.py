"""What the server refuses to start with, unless it is asked for by a loud name. It starts nothing."""

from __future__ import annotations

from keyturn.errors import ConfigurationError
from keyturn.server.settings import MEMORY, Settings


def check_safety(settings: Settings, *, demo: bool) -> None:
    """Refuse what would be unsafe where others can reach the server.

    Args:
        settings: The settings.
        demo: Whether it is a demonstration, with users whose passwords are printed.

    Raises:
        ConfigurationError: Says what is unsafe, and what to do instead.
    """
    found = [] if settings.is_loopback or settings.unsafe_allow_public else _dangers(settings, demo=demo)
    if found:
        raise ConfigurationError(
            f"others can reach {settings.host}, so this is refused: {'; '.join(found)}. "
            "Listen on 127.0.0.1 behind a proxy that speaks HTTPS, "
            "or set unsafe_allow_public if you mean it"
        )


def _dangers(settings: Settings, *, demo: bool) -> list[str]:
    checks = {
        "users of --demo can sign in, with passwords that were on a screen": demo,
        "cookie_secure is off, so that refresh tokens travel in clear text": not settings.cookie_secure,
        "issuer is no https address": not settings.issuer_url.startswith("https://"),
        f"the store {MEMORY} forgets all sessions, and what was revoked": settings.store == MEMORY,
    }
    return [danger for danger, is_there in checks.items() if is_there]
