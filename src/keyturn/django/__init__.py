"""Keyturn for Django: sessions in its ORM, settings in one dict, checks, admin, commands and signals.

It decides nothing. Add "keyturn.django" to `INSTALLED_APPS`, and a dict `KEYTURN` to the settings.
"""

from __future__ import annotations

try:
    from django import VERSION
except ImportError as error:
    raise ImportError("keyturn.django needs its extra: pip install 'keyturn[django]'") from error

if VERSION < (5, 2):
    raise ImportError("keyturn.django needs Django 5.2 or later: pip install -U 'keyturn[django]'")

from keyturn.django.conf import get_async_manager, get_http_settings, get_manager

__all__ = ["get_async_manager", "get_http_settings", "get_manager"]
