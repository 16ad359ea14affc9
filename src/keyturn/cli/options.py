"""Settings as options: flag, environment, file and default, all from the one table. It runs no command."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, Final, ParamSpec, TypeVar

import click
from click.core import ParameterSource

from keyturn.errors import ConfigurationError
from keyturn.server.settings import BY_NAME, SETTINGS, Setting, Settings, check_names, check_secret
from keyturn.server.words import short_span
from keyturn.stores.urls import masked

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_FILE: Final = "keyturn.toml"
_CONFIG: Final = "config_file"
_METAVARS: Final = {"duration": "DURATION", "number": "NUMBER", "list": "LIST", "text": "TEXT"}
_ALIASES: Final = {"key_algorithm": ("--alg",)}
SOURCES: Final = {
    ParameterSource.COMMANDLINE: "flag",
    ParameterSource.ENVIRONMENT: "environment",
    ParameterSource.DEFAULT_MAP: "file",
    ParameterSource.DEFAULT: "default",
}


class SettingType(click.ParamType[Any]):
    """The values of one setting, read as the settings read them."""

    def __init__(self, setting: Setting) -> None:
        """Read values of a setting."""
        self.setting = setting
        self.name = setting.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401
        """Read a value, or fail as click does."""
        try:
            return self.setting.read(value)
        except ConfigurationError as error:
            self.fail(str(error), param, ctx)


class SwitchType(SettingType, click.types.BoolParamType):
    """The values of a switch: click gives a pair of flags only to its own boolean type."""


def with_settings(
    *names: str,
) -> Callable[[Callable[Concatenate[Settings, P], R]], Callable[P, R]]:
    """Give a command the settings, and an option for each of the named ones.

    Args:
        names: Which; none means all.
    """
    chosen = [BY_NAME[name] for name in names] or list(SETTINGS)

    def decorate(command: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
        @wraps(command)
        def run(*args: P.args, **kwargs: P.kwargs) -> R:
            kwargs.pop(_CONFIG, None)
            values = {setting.name: kwargs.pop(setting.name) for setting in chosen}
            return command(_settings(values), *args, **kwargs)

        decorated: Callable[P, R] = run
        for setting in reversed(chosen):
            decorated = _option(setting)(decorated)
        return _config_option(decorated)

    return decorate


def show(setting: Setting, value: object) -> str:
    """Write a value as a person would give it; a password in a URL is masked, and a secret is not shown.

    Examples:
        >>> show(BY_NAME["race_window"], 10.0), show(BY_NAME["rotation"], True), show(BY_NAME["issuer"], None)
        ('10s', 'true', 'none')
        >>> show(BY_NAME["store"], "postgresql://keyturn:hunter2@db/keyturn")
        'postgresql://keyturn:***@db/keyturn'
    """
    match value:
        case None:
            return "none"
        case _ if setting.secret:
            return "(not shown)"
        case bool():
            return str(value).lower()
        case float() | int() if setting.kind == "duration":
            return short_span(value)
        case tuple():
            return ", ".join(str(each) for each in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
        case _:
            return masked(str(value))


def _settings(values: Mapping[str, Any]) -> Settings:
    try:
        return Settings(**values)
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None


def _option(setting: Setting) -> Callable[[Callable[P, R]], Callable[P, R]]:
    switch = setting.kind == "switch"
    name = f"{setting.flag}/--no-{setting.flag[2:]}" if switch else setting.flag
    default = setting.read(setting.default)
    shown = show(setting, default)
    metavar = None if switch else "|".join(setting.choices) or _METAVARS[setting.kind]
    return click.option(
        name,
        *_ALIASES.get(setting.name, ()),
        setting.name,
        type=SwitchType(setting) if switch else SettingType(setting),
        default=default,
        envvar=setting.variable,
        show_envvar=True,
        metavar=metavar,
        callback=_refuse_on_the_command_line if setting.secret else None,
        help=f"{setting.help}  [default: {shown or 'empty'}]",
    )


def _refuse_on_the_command_line(ctx: click.Context, param: click.Parameter, value: object) -> object:
    """Keep secrets out of the list of processes and of the shell's history."""
    setting = BY_NAME[str(param.name)]
    if ctx.get_parameter_source(setting.name) is ParameterSource.COMMANDLINE:
        raise click.UsageError(f"others can see a command line: set {setting.variable} instead")
    try:
        check_secret(setting, os.environ.get(setting.variable))  # click takes an empty one for none
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    return value


def _config_option(command: Callable[P, R]) -> Callable[P, R]:
    return click.option(
        "--config",
        _CONFIG,
        type=click.Path(path_type=Path),
        envvar="KEYTURN_CONFIG",
        is_eager=True,
        callback=_load_file,
        metavar="FILE",
        help=f"A TOML file with settings.  [default: {DEFAULT_FILE}, if it is there]",
    )(command)


def _load_file(ctx: click.Context, _: click.Parameter, path: Path | None) -> Path | None:
    if path is None and not Path(DEFAULT_FILE).exists():
        return None
    file = path or Path(DEFAULT_FILE)
    try:
        with file.open("rb") as stream:
            found = tomllib.load(stream)
        check_names(found, where=str(file))
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise click.UsageError(f"{file} is no TOML: {error}") from None
    except ConfigurationError as error:
        raise click.UsageError(str(error)) from None
    ctx.default_map = found
    return file
