"""`keyturn keys`: make the signing keys, see them, turn them, end them. It decides nothing about a key."""

from __future__ import annotations

import time
from dataclasses import asdict
from typing import Any, Final, get_args

import click

from keyturn._core.keyset import Algorithm
from keyturn._core.ring import KeyInfo
from keyturn._core.schedule import (
    JWKS_MAX_AGE,
    PUBLISH_AT_LEAST,
    PUBLISH_FOR,
    TurnPlan,
    drain_of,
    least_drain_of,
)
from keyturn.cli.opening import opened_store
from keyturn.cli.options import with_settings
from keyturn.cli.output import json_option, print_json, print_rows, yes_option
from keyturn.durations import seconds
from keyturn.errors import ConfigurationError, KeyturnError
from keyturn.keystores import Replacement, Turn
from keyturn.server.keyring import kept_keys, warning_of
from keyturn.server.settings import Settings
from keyturn.server.words import moment, relative, short_span, span
from keyturn.stores.protocol import Where

_COLUMNS = {"kid": "KEY", "alg": "ALGORITHM", "state": "STATE", "since": "SINCE", "next": "THEN"}
_PLACE: Final = ("store", "keys", "keys_file", "keys_passphrase", "keys_key")
_LIFETIMES: Final = (
    "access_ttl",
    "idle_ttl",
    "absolute_ttl",
    "race_window",
    "recovery_window",
    "leeway",
)


@click.group()
def keys() -> None:
    """Manage the keys that tokens are signed with."""


@keys.command()
@click.option("--force", is_flag=True, help="Replace all keys: every token until now is refused then.")
@yes_option
@with_settings(*_PLACE, "key_algorithm")
def generate(settings: Settings, *, force: bool, yes: bool) -> None:
    """Make the keys file, or the place in the database, with one new key."""
    with kept_keys(settings, create=True) as keeper:
        if not keeper.create(settings.key_algorithm):
            if not force:
                raise ConfigurationError(
                    f"there is {settings.keys_place} already; --force replaces it, and signs everybody out"
                )
            if not yes:
                click.confirm(f"Replace {settings.keys_place}? Everybody has to sign in again.", abort=True)
            keeper.start_over(settings.key_algorithm)
        info, warning = keeper.load().infos()[0], warning_of(settings, keeper)
    click.echo(f"{_capital(settings.keys_place)} has a new key, {info.kid} ({info.alg}).")
    _warn(warning)


@keys.command("list")
@json_option
@with_settings(*_PLACE)
def list_keys(settings: Settings, *, as_json: bool) -> None:
    """List the keys, and what is going to happen to them; what is secret is not shown."""
    with kept_keys(settings) as keeper:
        infos, warning = keeper.load().infos(), warning_of(settings, keeper)
    _warn(warning)
    rows = [{**asdict(info), "since": moment(info.changed_at), "next": _next(info)} for info in infos]
    print_rows(rows, _COLUMNS, as_json=as_json, empty="There are no keys.")


@keys.command()
@click.option("--alg", type=click.Choice(get_args(Algorithm), case_sensitive=False), help="Of the new key.")
@click.option(
    "--publish-for",
    metavar="DURATION",
    help=f"How long the new key is published before it signs.  [default: {short_span(PUBLISH_FOR)}]",
)
@click.option(
    "--drain",
    metavar="DURATION",
    help="How long the old key verifies after that.  [default: as long as any session may live]",
)
@click.option("--emergency", is_flag=True, help="The key has leaked: drop it now, and sign with a new one.")
@click.option("--all", "everything", is_flag=True, help="With --emergency: drop all keys.")
@json_option
@yes_option
@with_settings(*_PLACE, *_LIFETIMES)
def rotate(
    settings: Settings,
    *,
    alg: Algorithm | None,
    publish_for: str | None,
    drain: str | None,
    emergency: bool,
    everything: bool,
    as_json: bool,
    yes: bool,
) -> None:
    """Turn to a new key, as one plan that all servers follow by themselves: nobody has to sign in again.

    The new key is published now, and signs when everybody knows it. The old key verifies until nothing can be
    alive that it has signed. Run this with the settings of the servers: their lifetimes are needed for that.
    """
    if emergency:
        if publish_for is not None or drain is not None:
            raise click.UsageError("an emergency waits for nothing: leave out --publish-for and --drain")
        _replace(settings, alg, everything=everything, as_json=as_json, yes=yes)
        return
    if everything:
        raise click.UsageError("--all needs --emergency")
    plan = _plan(settings, publish_for, drain)
    with kept_keys(settings) as keeper:
        _check_algorithm(keeper.load().infos(), alg, yes=yes)
        turn = keeper.rotate(plan, alg)
    if as_json:
        print_json({"new": asdict(turn.new), "old": asdict(turn.old)})
    else:
        _tell_turn(turn)


@keys.command()
@click.argument("kid")
@with_settings(*_PLACE, *_LIFETIMES)
def retire(settings: Settings, *, kid: str) -> None:
    """Refuse a key's tokens from now on, if none can be alive; call off a turn to a key that is pending."""
    with kept_keys(settings) as keeper:
        before = keeper.retire(kid, drain=drain_of(settings))
    match before.state:
        case "pending" if before.active_at is not None:
            click.echo(
                f"The turn to {kid} is called off. The key stays accepted for now: a server that cannot read "
                "the keys has not noticed, and may sign with it."
            )
        case "pending":
            click.echo(f"{kid} is gone; it has signed nothing.")
        case "retired":
            click.echo(f"{kid} was retired {relative(before.changed_at, time.time())}; it is listed no more.")
        case _:
            click.echo(f"{kid} is retired: its tokens are refused from now on.")


@keys.command()
@with_settings(*_PLACE)
def encrypt(settings: Settings) -> None:
    """Write the keys again, encrypted with KEYTURN_KEYS_PASSPHRASE or KEYTURN_KEYS_KEY."""
    if settings.seal is None:
        raise ConfigurationError(
            "set KEYTURN_KEYS_PASSPHRASE or KEYTURN_KEYS_KEY, and give it to each server"
        )
    with kept_keys(settings) as keeper:
        keeper.encrypt(settings.seal)
    click.echo(f"{_capital(settings.keys_place)} is encrypted.")
    click.echo("Each server needs the secret from now on: one without it goes on, and does not start again.")
    click.echo("Backups hold the keys in clear; `keyturn keys rotate` turns to one that they do not hold.")


def _plan(settings: Settings, publish_for: str | None, drain: str | None) -> TurnPlan:
    """Give the plan of a turn; a part that is too short to be safe is refused."""
    least, usual = least_drain_of(settings), drain_of(settings)
    try:
        published = PUBLISH_FOR if publish_for is None else seconds(publish_for, name="--publish-for")
        drained = usual if drain is None else seconds(drain, name="--drain")
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    if published < PUBLISH_AT_LEAST:
        raise click.UsageError(
            f"--publish-for must be at least {short_span(PUBLISH_AT_LEAST)}: until then, others may not know "
            "the new key, and would refuse its tokens"
        )
    if drained < least:
        raise click.UsageError(
            f"--drain must be at least {short_span(least)}: so long, sessions that are not used stay alive"
        )
    return TurnPlan(drain=drained, publish_for=published)


def _tell_turn(turn: Turn) -> None:
    new, old, now = turn.new, turn.old, turn.new.created_at
    begins, ends = new.active_at or now, old.retired_at or now
    click.echo(f"A new key is published from now on: {new.kid} ({new.alg}).")
    click.echo(f"  {relative(begins, now)}: it begins to sign. {old.kid} goes on verifying.")
    click.echo(f"  {relative(ends, now)}: {old.kid} is retired. Nothing that it has signed is alive then.")
    click.echo("All servers follow by themselves, and nobody has to sign in again.")


def _replace(
    settings: Settings, alg: Algorithm | None, *, everything: bool, as_json: bool, yes: bool
) -> None:
    with kept_keys(settings) as keeper:
        before = keeper.load().infos()
        going = [
            info for info in before if info.state in {"active", "pending"} or (everything and _verifies(info))
        ]
        staying = [info for info in before if _verifies(info) and not everything]
        _check_algorithm(before, alg, yes=yes)
        for line in _costs(settings, going, staying):
            click.echo(line, err=as_json)
        if not yes:
            click.confirm("Drop what is named first, and sign with a new key?", abort=True, err=as_json)
        done = keeper.replace(alg, everything=everything)
    if as_json:
        print_json(_replacement(done))
    else:
        click.echo(f"{_names(done.dropped)} dropped. {done.new.kid} ({done.new.alg}) signs now.")


def _check_algorithm(before: list[KeyInfo], alg: Algorithm | None, *, yes: bool) -> None:
    """Say what another algorithm means for those who verify; without a public key, ask."""
    (old,) = (info.alg for info in before if info.state == "active")
    if alg is None or alg == old:
        return
    if alg != "HS256":
        click.echo(f"Services that verify tokens must accept {alg}, not {old} alone.", err=True)
        return
    click.echo(
        "HS256 has no public key: services that verify with the published keys will refuse every new token, "
        "for good.",
        err=True,
    )
    if not yes:
        click.confirm("Does nobody but these servers verify tokens?", abort=True, err=True)


def _costs(settings: Settings, going: list[KeyInfo], staying: list[KeyInfo]) -> list[str]:
    """Say what an emergency costs, a sentence each."""
    now = time.time()
    lines = [
        f"Every access and refresh token of {_names(going)} will be refused: servers follow within seconds.",
        _sign_ins(settings, now),
        _elsewhere(),
    ]
    for info in staying:
        until = "somebody retires it" if info.retired_at is None else relative(info.retired_at, now)
        lines.append(
            f"{info.kid} goes on verifying until {until}. It lay beside the key that has leaked: "
            "--all drops it too."
        )
    return lines


def _elsewhere() -> str:
    return (
        "Services that verify with the published keys accept such access tokens until they fetch them again: "
        f"at most {span(JWKS_MAX_AGE)} later, if they heed the answer's max-age."
    )


def _sign_ins(settings: Settings, now: float) -> str:
    try:
        with opened_store(settings) as store:
            count = store.count(Where(live_at=round(now * 1000)))
    except KeyturnError as error:
        return (
            f"Whoever holds such a refresh token must sign in again. How many that are is not known: {error}"
        )
    return (
        f"Up to {count:,} live session{'' if count == 1 else 's'} must sign in again: "
        "all whose latest refresh token is one of these."
    )


def _replacement(done: Replacement) -> dict[str, Any]:
    return {
        "new": asdict(done.new),
        "dropped": [asdict(info) for info in done.dropped],
        "kept": [asdict(info) for info in done.kept],
    }


def _warn(warning: str | None) -> None:
    if warning is not None:
        click.echo(f"Warning: {warning}", err=True)


def _next(info: KeyInfo) -> str:
    match info.state:
        case "pending" if info.active_at is not None:
            return f"signs from {moment(info.active_at)}"
        case "active" if info.verifying_at is not None:
            return f"only verifies from {moment(info.verifying_at)}"
        case "verifying" | "pending" if info.retired_at is not None:
            return f"retired from {moment(info.retired_at)}"
        case _:
            return ""


def _verifies(info: KeyInfo) -> bool:
    return info.state == "verifying"


def _names(infos: list[KeyInfo] | tuple[KeyInfo, ...]) -> str:
    return ", ".join(info.kid for info in infos)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
