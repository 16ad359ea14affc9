"""Keyturn in the OpenAPI document of drf-spectacular. It knows no request.

The security schemes come by themselves with `keyturn.django` and `drf_spectacular` in `INSTALLED_APPS`. The
endpoints come with a line of the settings:

```python
SPECTACULAR_SETTINGS = {
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "keyturn.django.spectacular.add_endpoints",
    ],
}
```
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

try:
    from drf_spectacular.extensions import OpenApiAuthenticationExtension
except ImportError as error:
    raise ImportError("keyturn.django.spectacular needs its extra: pip install 'keyturn[drf]'") from error

from keyturn.django.conf import get_settings
from keyturn.http import openapi

if TYPE_CHECKING:
    from drf_spectacular.openapi import AutoSchema


class KeyturnScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call] # it has no types
    """How views with `KeyturnAuthentication` are authenticated."""

    target_class = "keyturn.django.rest.KeyturnAuthentication"

    def __init__(self, target: Any) -> None:  # noqa: ANN401  (an authentication class)
        """Name the schemes."""
        super().__init__(target)  # type: ignore[no-untyped-call]  # pyright: ignore[reportUnknownMemberType]
        self.name = list(_schemes())

    def get_security_requirement(self, auto_schema: AutoSchema) -> list[dict[str, list[Any]]]:  # noqa: ARG002
        """Say that any one of the schemes is enough."""
        return [{name: []} for name in _schemes()]

    def get_security_definition(self, auto_schema: AutoSchema) -> list[dict[str, Any]]:  # noqa: ARG002
        """Describe the schemes."""
        return list(_schemes().values())


def add_endpoints(result: dict[str, Any], **_: object) -> dict[str, Any]:
    """Add the endpoints, the schemes and what guarded views answer: an entry of `POSTPROCESSING_HOOKS`.

    Args:
        result: The document.
    """
    settings = get_settings()
    result["paths"] |= openapi.paths(settings.http, has_login=settings.login is not False)
    openapi.show_refusals(result)
    components = result.setdefault("components", {})
    components["securitySchemes"] = {**components.get("securitySchemes", {}), **_schemes()}
    return result


def _schemes() -> dict[str, dict[str, Any]]:
    settings = get_settings()
    return openapi.security_schemes(settings.http, has_login=settings.login is not False)
