"""Keyturn for Django: sessions in its ORM, settings in one dict, checks, admin, commands and signals.

It decides nothing about a token. Add "keyturn.django" to `INSTALLED_APPS`; the settings are in
`keyturn.django.conf`.
"""

from __future__ import annotations

try:
    import django as _django  # noqa: F401  (to say what is missing before anything else fails)
except ImportError as error:
    raise ImportError("keyturn.django needs its extra: pip install 'keyturn[django]'") from error

from keyturn.django.conf import get_async_manager, get_http_settings, get_manager

__all__ = ["get_async_manager", "get_http_settings", "get_manager"]
