"""Writes what the reference lists, from the code's one description of it. It knows no server.

`python docs/render_reference.py` writes; a test calls `rendered()` and compares.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any, Final

from keyturn import errors
from keyturn.cli.options import show
from keyturn.http import HttpSettings, openapi, replies
from keyturn.policy import Policy
from keyturn.server.settings import BY_NAME, SETTINGS, Setting
from rendering import with_part, write

REFERENCE: Final = Path(__file__).parent / "reference"
_ITEM: Final = re.compile(r"^ {8}(\w+): (.*(?:\n {12}.*)*)", re.MULTILINE)
_NAMES: Final = {kind: [field.name for field in fields(kind)] for kind in (Policy, HttpSettings)}


def documents() -> list[Path]:
    """Give all documents of which parts are rendered."""
    return [REFERENCE / name for name in PARTS]


def rendered(document: Path) -> str:
    """Give a document as it should be.

    Args:
        document: Which.
    """
    text = document.read_text("utf-8")
    for part, table in PARTS[document.name].items():
        begin, end = f"<!-- rendered: {part} -->\n", f"<!-- end of {part} -->\n"
        text = with_part(text, begin, end, table())
    return text


# --------------------------------------------------------------------------------------------- settings


def _policy() -> str:
    return _settings(map(BY_NAME.__getitem__, _NAMES[Policy]))


def _http_settings() -> str:
    shared = [BY_NAME[name] for name in _NAMES[HttpSettings] if name in BY_NAME]
    told = dict(_ITEM.findall(HttpSettings.__doc__ or ""))
    callables = (
        f"| `{field.name}` | a function; in code alone | `keyturn.http.{field.name}` "
        f"| {_one_line(told[field.name])} |"
        for field in fields(HttpSettings)
        if field.name not in BY_NAME
    )
    return _settings(shared) + "\n".join(callables) + "\n"


def _server() -> str:
    others = {name for names in _NAMES.values() for name in names}
    return _settings(setting for setting in SETTINGS if setting.name not in others)


def _settings(settings: Iterable[Setting]) -> str:
    rows = ["| setting | value | default | what it does |", "| --- | --- | --- | --- |"]
    for setting in settings:
        name = f"`{setting.name}`<br>`{setting.flag}`<br>`{setting.variable}`"
        if setting.secret:
            name = f"`{setting.name}`<br>`{setting.variable}`"
        value = " or ".join(f"`{choice}`" for choice in setting.choices) or f"a {setting.kind}"
        default = show(setting, setting.read(setting.default))
        rows.append(
            f"| {name} | {value}{', or `none`' if setting.optional else ''} "
            f"| {f'`{default}`' if default else 'empty'} | {_one_line(setting.help)} |"
        )
    return "\n".join(rows) + "\n"


# ------------------------------------------------------------------------------------------------- HTTP


def _endpoints() -> str:
    lines = ["| request | body | answer | refusals | what it does |", "| --- | --- | --- | --- | --- |"]
    for path, operations in openapi.paths(HttpSettings(), has_login=True).items():
        for method, operation in operations.items():
            responses: dict[str, Any] = operation["responses"]
            good = next(status for status in responses if status.startswith("2"))
            request = f"`{method.upper()} {path}`" + (", access token" if "security" in operation else "")
            cells = (
                request,
                _shape(operation.get("requestBody", {})),
                f"{good} {_shape(responses[good])}".strip(),
                ", ".join(status for status in sorted(responses) if not status.startswith("2")) or "-",
                operation["summary"],
            )
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _shape(described: dict[str, Any]) -> str:
    content = described.get("content")
    if not content:
        return ""
    schema = content["application/json"]["schema"]
    needed = schema.get("required", ())
    names = (f"`{name}`" + ("" if name in needed else "?") for name in schema["properties"])
    return ", ".join(names)


def _refusals() -> str:
    """Ask each maker of refusals for one, and what each error is answered with."""
    causes: dict[tuple[int, str], tuple[replies.Refusal, list[str]]] = {}
    for maker, arguments in MAKERS.items():
        refusal = maker(*arguments)
        causes[refusal.status, refusal.error] = (refusal, [_told(maker).removeprefix("Refuse ").rstrip(".")])
    for kind, _ in _tree(errors.KeyturnError):
        if (refusal := _answer_to(kind)) is not None:
            _, told = causes.setdefault((refusal.status, refusal.error), (refusal, []))
            told.append(f"`{kind.__name__}`{_when(kind)}")
    rows = ["| status | `error` | `error_description` | headers | when |", "| --- | --- | --- | --- | --- |"]
    for (status, code), (refusal, told) in sorted(causes.items()):
        headers = "<br>".join(f"`{name}: {_without(refusal, value)}`" for name, value in refusal.headers)
        rows.append(f"| {status} | `{code}` | {refusal} | {headers} | {'; '.join(told)} |")
    return "\n".join(rows) + "\n"


def _without(refusal: replies.Refusal, value: str) -> str:
    """Leave out of a header what the column beside it says."""
    return value.replace(f'error_description="{refusal}"', "error_description=…")


# ----------------------------------------------------------------------------------------------- errors


def _errors() -> str:
    rows = ["| error | `code` | answer | message |", "| --- | --- | --- | --- |"]
    for kind, depth in _tree(errors.KeyturnError):
        refusal = _answer_to(kind)
        answer = "-" if refusal is None else f"{refusal.status} `{refusal.error}`"
        name = f"{'&nbsp;' * 4 * depth}`{kind.__name__}`"
        rows.append(f"| {name} | `{kind.code}` | {answer}{_when(kind)} | {_told(kind)} |")
    return "\n".join(rows) + "\n"


def _tree(kind: type[errors.KeyturnError], depth: int = 0) -> Iterator[tuple[type[errors.KeyturnError], int]]:
    if kind.__module__ == errors.__name__:
        yield kind, depth
        for below in kind.__subclasses__():
            yield from _tree(below, depth + 1)


def _when(kind: type[errors.KeyturnError]) -> str:
    """Say under which setting alone there is such an error, if its description does."""
    found = re.search(r"^ *Only (with `[^`]+`)", kind.__doc__ or "", re.MULTILINE)
    return f", only {found[1]}" if found else ""


def _answer_to(kind: type[errors.KeyturnError]) -> replies.Refusal | None:
    try:
        return replies.refusal_of(kind())
    except errors.KeyturnError:
        return None  # a mistake of the application is no answer to a client


# ------------------------------------------------------------------------------------------------ words


def _told(thing: object) -> str:
    return _one_line((thing.__doc__ or "").partition("\n\n")[0])


def _one_line(words: str) -> str:
    return re.sub(r"\s+", " ", words).strip().replace("|", "\\|")


# What makes refusals, with arguments that stand for those of a request.
MAKERS: Final[Mapping[Callable[..., replies.Refusal], tuple[Any, ...]]] = {
    replies.invalid_request: ("What is wrong with the request.",),
    replies.no_credentials: (),
    replies.invalid_credentials: (),
    replies.stale_sign_in: (300,),
    replies.csrf_failed: (),
    replies.insufficient_scope: (("orders:read",),),
    replies.not_found: (),
    replies.method_not_allowed: ("POST",),
    replies.slow_down: (30,),
}
PARTS: Final[Mapping[str, Mapping[str, Callable[[], str]]]] = {
    "settings.md": {"policy": _policy, "http": _http_settings, "server": _server},
    "http.md": {"endpoints": _endpoints, "refusals": _refusals},
    "errors.md": {"errors": _errors},
}


if __name__ == "__main__":
    write(documents(), rendered)
