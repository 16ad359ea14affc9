"""Turning an application's claims model into JSON and back. It knows no token.

A model is a dict (the default), a dataclass, or anything with pydantic's `model_dump` and `model_validate`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, is_dataclass
from typing import Any, Generic, cast, get_origin, get_type_hints

from keyturn._core.inputs import check_claims
from keyturn.errors import ConfigurationError, InvalidInput
from keyturn.results import ClaimsT, KeepClaims, LoadedClaims


@dataclass(frozen=True, slots=True)
class ClaimsCodec(Generic[ClaimsT]):
    """Both directions.

    Attributes:
        dump: From the model (or a mapping) to a mapping.
        load: From a JSON object to the model; raises `ValueError` or `TypeError` where it does not fit.
        shared: Whether `load` gives what it is given: if that is read-only, many may share it.
    """

    dump: Callable[[ClaimsT | Mapping[str, Any] | None], Mapping[str, Any]]
    load: Callable[[dict[str, Any]], ClaimsT]
    shared: bool = False


def codec_for(model: type[ClaimsT] | None) -> ClaimsCodec[ClaimsT]:
    """Choose the codec of a claims model.

    Args:
        model: A dataclass without dataclasses inside, a pydantic model, a `TypedDict`, or `dict`; None is a
            dict.

    Raises:
        ConfigurationError: The model is none of these.
    """
    kind: Any = get_origin(model) or model  # dict[str, Any] is a dict
    if kind is None or (isinstance(kind, type) and issubclass(kind, dict)):  # so is a TypedDict, at run time
        return ClaimsCodec(dump=_as_mapping, load=lambda claims: cast("ClaimsT", claims), shared=True)
    if not isinstance(kind, type):
        raise ConfigurationError("claims must be a class: a dataclass, a pydantic model or dict")
    if hasattr(kind, "model_validate") and hasattr(kind, "model_dump"):
        return _pydantic_codec(kind)
    if not is_dataclass(kind):
        name = cast("type[object]", kind).__name__
        raise ConfigurationError(f"claims must be a dataclass, a pydantic model or dict, not {name}")
    return _dataclass_codec(kind)


def _pydantic_codec(model: Any) -> ClaimsCodec[Any]:  # noqa: ANN401  (pydantic is not imported here)
    return ClaimsCodec(
        dump=lambda value: (
            model.model_dump(value, mode="json") if isinstance(value, model) else _as_mapping(value)
        ),
        load=model.model_validate,
    )


def _dataclass_codec(model: Any) -> ClaimsCodec[Any]:  # noqa: ANN401  (any dataclass)
    hints = get_type_hints(model)
    if nested := sorted(name for name, hint in hints.items() if is_dataclass(hint)):
        raise ConfigurationError(
            f"claims: {', '.join(nested)} would come back as a dict; use a pydantic model"
        )
    names = frozenset(field.name for field in fields(model))
    return ClaimsCodec(
        dump=lambda value: asdict(cast("Any", value)) if isinstance(value, model) else _as_mapping(value),
        load=lambda claims: model(**{name: claims[name] for name in names & claims.keys()}),
    )


def checked_claims(codec: ClaimsCodec[ClaimsT], claims: ClaimsT | Mapping[str, Any] | None) -> dict[str, Any]:
    """Turn an application's claims into JSON, and see that they come back.

    Raises:
        InvalidInput: They cannot be used, or every token with them would be refused; `detail` is "claims".
    """
    checked = check_claims(codec.dump(claims))
    try:
        codec.load(checked)
    except Exception:  # noqa: BLE001  (a model may raise anything; it says that the claims do not fit)
        raise InvalidInput("claims do not fit the manager's claims model", detail="claims") from None
    return checked


def given_claims(claims: LoadedClaims[ClaimsT] | None) -> ClaimsT | Mapping[str, Any] | None:
    """Give the claims that an application's `load_claims` has given; None: those of the sign-in go on.

    Raises:
        ConfigurationError: It has given nothing.
    """
    if claims is None:  # as of a lookup that has found no user, who must not go on by that
        raise ConfigurationError(
            "load_claims gave None: give the claims, KEEP_CLAIMS to keep those of the sign-in, "
            "or raise UserInactive where there is no such user"
        )
    return None if isinstance(claims, KeepClaims) else claims


def loaded_claims(codec: ClaimsCodec[ClaimsT], claims: LoadedClaims[ClaimsT] | None) -> dict[str, Any] | None:
    """Turn what an application's `load_claims` gives into JSON; None: the claims of the sign-in go on.

    Raises:
        ConfigurationError: It is not usable as claims: a fault of the application, not of a client.
    """
    given = given_claims(claims)
    if given is None:
        return None
    try:
        return checked_claims(codec, given)
    except InvalidInput as error:
        raise ConfigurationError(f"load_claims: {error}") from None


def _as_mapping(value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return cast("Mapping[str, Any]", value)
    raise InvalidInput(
        f"claims must be a mapping or the manager's claims model, not a {type(value).__name__}",
        detail="claims",
    )
