"""Litestar's OpenAPI document with the endpoints, and with what guarded routes need. It knows no guard."""

from __future__ import annotations

from copy import copy
from dataclasses import fields
from typing import Any, TypeAlias

from litestar.handlers import HTTPRouteHandler
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.spec import OpenAPI
from litestar.utils import normalize_path

from keyturn.http import HttpSettings, openapi

Json: TypeAlias = dict[str, Any]


class Document(OpenAPI):
    """An OpenAPI document with more than the application's own routes."""

    def __init__(self, plain: OpenAPI, paths: Json, schemes: Json) -> None:
        """Add to a document.

        Args:
            plain: It.
            paths: Which paths to add.
            schemes: Which security schemes to add.
        """
        super().__init__(**{each.name: getattr(plain, each.name) for each in fields(plain)})
        self._paths, self._schemes = paths, schemes

    def to_schema(self) -> Json:
        """See Litestar's `OpenAPI`; what the application says itself counts more."""
        schema = super().to_schema()
        components = schema.setdefault("components", {})
        components["securitySchemes"] = {**self._schemes, **components.get("securitySchemes", {})}
        schema["paths"] = {**self._paths, **schema.get("paths", {})}
        openapi.show_refusals(schema)
        return schema


def described(
    config: OpenAPIConfig, settings: HttpSettings, *, path: str, has_login: bool, endpoints: bool
) -> OpenAPIConfig:
    """Give a configuration whose document has the endpoints; the application's own stays as it is.

    Args:
        config: The application's own.
        settings: How tokens travel.
        path: What the application puts before all paths.
        has_login: Whether there is a login check.
        endpoints: Whether the application has the endpoints.
    """
    root = normalize_path(path).rstrip("/")
    found = openapi.paths(settings, has_login=has_login) if endpoints else {}
    paths = {f"{root}{each}": operations for each, operations in found.items()}
    schemes = openapi.security_schemes(settings, has_login=has_login)
    changed, plain = copy(config), copy(config).to_openapi_schema
    changed.to_openapi_schema = lambda: Document(plain(), paths, schemes)  # type: ignore[method-assign] # its class is the application's choice
    return changed


def show_security(handler: HTTPRouteHandler, wanted: list[dict[str, list[str]]], *, optional: bool) -> None:
    """Show on a route what it needs: any one of the schemes, or also nothing.

    Args:
        handler: The route's handler.
        wanted: The schemes.
        optional: Whether nobody need be signed in.
    """
    shown = list(handler.security or ())
    more = [{}, *wanted] if optional else wanted
    handler.security = [*shown, *(each for each in more if each not in shown)]
