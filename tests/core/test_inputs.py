"""Claims models and ids: the small parts of the core that the managers' tests do not reach."""

from __future__ import annotations

from typing import Any, Self, TypedDict, cast

import pytest

from keyturn._core.claims import codec_for
from keyturn._core.ids import parse_session_id, uuid7
from keyturn._core.inputs import check_reason
from keyturn.errors import InvalidInput


class Model:
    """What pydantic's models offer, as far as Keyturn uses it."""

    def __init__(self, plan: str) -> None:
        self.plan = plan

    def model_dump(self, *, mode: str) -> dict[str, Any]:
        return {"plan": self.plan, "mode": mode}

    @classmethod
    def model_validate(cls, value: dict[str, Any]) -> Self:
        return cls(value["plan"])


class Typed(TypedDict):
    """A claims model that is a dict at run time."""

    plan: str


def test_a_pydantic_model_goes_both_ways() -> None:
    """Models are dumped in JSON mode and validated; a mapping is accepted in place of one."""
    codec = codec_for(Model)
    assert codec.dump(Model("pro")) == {"plan": "pro", "mode": "json"}
    assert codec.dump({"plan": "free"}) == {"plan": "free"}
    assert codec.load({"plan": "pro"}).plan == "pro"


def test_a_typed_dict_is_a_dict() -> None:
    """A TypedDict needs no conversion; None is no claims."""
    codec = codec_for(cast("type[Any]", Typed))
    assert codec.dump({"plan": "pro"}) == {"plan": "pro"}
    assert codec.dump(None) == {}
    assert codec.load({"plan": "pro"}) == {"plan": "pro"}


@pytest.mark.parametrize("text", [None, 5, "", "x" * 36, "018BCFE5-6800-7953-9F88-555E3EF71BC9", "018bcfe5"])
def test_one_spelling_per_session_id(text: object) -> None:
    """Only the spelling that the API gives out is a session id."""
    assert parse_session_id(text) is None
    assert parse_session_id("018bcfe5-6800-7953-9f88-555e3ef71bc9") is not None


def test_ids_sort_by_their_moment() -> None:
    """A UUIDv7 made later sorts later, and carries version and variant (RFC 9562, section 5.7)."""
    early, late = uuid7(1000, b"\xff" * 10), uuid7(1001, bytes(10))
    assert early < late
    assert (early.version, late.variant) == (7, "specified in RFC 4122")


def test_a_reason_is_short_text() -> None:
    """A reason is text of up to 255 characters."""
    assert check_reason("x" * 255) == "x" * 255
    for wrong in ("x" * 256, None):
        with pytest.raises(InvalidInput):
            check_reason(wrong)
