"""Sets the tiny project up before any test here imports a model. It knows no test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support import django_site

django_site.set_up()


@pytest.fixture
def project() -> Iterator[None]:
    """Use the project with empty tables; afterwards, no manager and no connection is left."""
    from django.db import connections  # noqa: PLC0415  (set up above)

    from keyturn.django import conf  # noqa: PLC0415  (the same)

    django_site.empty("default")
    yield
    conf.on_setting_changed(setting="KEYTURN")
    connections.close_all()
