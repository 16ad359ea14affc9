"""The application as Django knows it. It knows no table and no token."""

from __future__ import annotations

from importlib import import_module

from django.apps import AppConfig, apps
from django.core.signals import setting_changed
from django.utils.translation import gettext_lazy as _


class KeyturnConfig(AppConfig):
    """`keyturn.django` in `INSTALLED_APPS`; its label, and so the beginning of its tables, is "keyturn"."""

    name = "keyturn.django"
    label = "keyturn"
    verbose_name = _("Sign-ins")
    default_auto_field = (
        "django.db.models.BigAutoField"  # no model has an automatic key; whatever a project says
    )

    def ready(self) -> None:
        """Have the checks run, and settings that tests change take effect."""
        from keyturn.django import checks, conf  # noqa: PLC0415  (models are there only now)

        checks.register_all()
        setting_changed.connect(conf.on_setting_changed, dispatch_uid="keyturn")
        if apps.is_installed("drf_spectacular"):
            import_module("keyturn.django.spectacular")  # which tells the other of it
