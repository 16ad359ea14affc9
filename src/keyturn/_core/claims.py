"""Turning an application's claims model into JSON and back. It knows no token.

A model is a dict (the default), a dataclass, or anything with pydantic's `model_dump` and `model_validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Generic, cast

from keyturn.errors import ConfigurationError, InvalidInput
from keyturn.results import ClaimsT


@dataclass(frozen=True, slots=True)
class ClaimsCodec(Generic[ClaimsT]):
    """Both directions.

    Attributes:
        dump: From the model (or a mapping) to a mapping.
        load: From a JSON object to the model; raises `ValueError` or `TypeError` where it does not fit.
    """

    dump: Callable[[ClaimsT | Mapping[str, Any] | None], Mapping[str, Any]]
    load: Callable[[dict[str, Any]], ClaimsT]


def codec_for(model: type[ClaimsT] | None) -> ClaimsCodec[ClaimsT]:
    """Choose the codec of a claims model.

    Args:
        model: A dataclass, a pydantic model, a `TypedDict`, `dict`, or None for a dict.

    Raises:
        ConfigurationError: The model is none of these.
    """
    if model is None or issubclass(model, dict):  # a TypedDict is a dict at run time
        return ClaimsCodec(dump=_as_mapping, load=lambda claims: cast("ClaimsT", claims))
    if hasattr(model, "model_validate") and hasattr(model, "model_dump"):
        pydantic: Any = model
        return ClaimsCodec(
            dump=lambda value: (
                pydantic.model_dump(value, mode="json") if isinstance(value, model) else _as_mapping(value)
            ),
            load=lambda claims: cast("ClaimsT", pydantic.model_validate(claims)),
        )
    if is_dataclass(model):
        names = frozenset(field.name for field in fields(model))
        return ClaimsCodec(
            dump=lambda value: (
                asdict(value) if is_dataclass(value) and not isinstance(value, type) else _as_mapping(value)
            ),
            load=lambda claims: model(**{name: claims[name] for name in names & claims.keys()}),
        )
    raise ConfigurationError(f"claims must be a dataclass, a pydantic model or dict, not {model.__name__}")


def _as_mapping(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise InvalidInput(
        f"claims must be a mapping or the manager's claims model, not a {type(value).__name__}"
    )
