"""What the server logs, and how: text or JSON, never a token or a query string. It knows no store."""

from __future__ import annotations

import json
import logging
import logging.config
import re
import time
from dataclasses import asdict
from typing import Any, Final, get_args
from urllib.parse import quote

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from keyturn import events
from keyturn.publishing import Events
from keyturn.server.settings import Settings

LOG: Final = logging.getLogger("keyturn.server")
ACCESS: Final = logging.getLogger("keyturn.access")

_TOKEN: Final = re.compile(r"(?:ktr_[\w-]{8,}|eyJ[\w-]+(?:\.[\w-]*)*|\$argon2\w*\$\S+)", re.ASCII)
_LONGEST_PATH: Final = 200
_UNREMARKABLE: Final = logging.DEBUG
_LEVELS: Final[dict[type, int]] = {
    events.RefreshForged: logging.CRITICAL,
    events.StoreRolledBack: logging.CRITICAL,
    events.ReuseDetected: logging.WARNING,
    events.StoreUnavailable: logging.WARNING,
    events.AuditLost: logging.WARNING,
    events.Issued: logging.INFO,
    events.SteppedUp: logging.INFO,
    events.Revoked: logging.INFO,
    events.Denied: logging.INFO,
}


def redact(text: str) -> str:
    """Take out what looks like a token or a hash.

    Examples:
        >>> redact("KeyError: 'ktr_AQxMbm1vcHFyc3R1dnd4'")
        "KeyError: '[redacted]'"
    """
    return _TOKEN.sub("[redacted]", text)


class TextFormatter(logging.Formatter):
    """One line per message (a traceback adds its own)."""

    def __init__(self) -> None:
        """Write times in UTC."""
        super().__init__("%(asctime)s %(levelname)-8s %(name)s: %(message)s", "%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime

    def format(self, record: logging.LogRecord) -> str:
        """Write a message, with its fields after it."""
        fields = "".join(f" {name}={value}" for name, value in fields_of(record).items())
        head, newline, rest = super().format(record).partition("\n")
        return redact(f"{head}{fields}{newline}{rest}")


class JsonFormatter(logging.Formatter):
    """One JSON object per message, in one line."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a message."""
        told: dict[str, Any] = {
            "time": round(record.created, 3),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            told["exception"] = self.formatException(record.exc_info)
        return redact(json.dumps(told, default=str))


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """Give the fields that a message came with."""
    fields: dict[str, Any] = getattr(record, "fields", {})
    return fields


def configure(settings: Settings) -> None:
    """Set up logging for this process, to standard error."""
    formatter = JsonFormatter if settings.log_format == "json" else TextFormatter
    level = settings.log_level.upper()
    logging.config.dictConfig(
        {
            "version": 1,
            "disable_existing_loggers": False,
            "formatters": {"keyturn": {"()": formatter}},
            "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "keyturn"}},
            "root": {"level": "WARNING", "handlers": ["stderr"]},
            "loggers": {
                "keyturn": {"level": level},
                "uvicorn": {"level": max(logging.WARNING, _number(level))},
            },
        }
    )


def log_events(published: Events) -> None:
    """Log every event of a manager at the level that it deserves."""
    for kind in get_args(events.Event):
        published.subscribe(kind, _log_event)


def _log_event(event: events.Event) -> None:
    level = _LEVELS.get(type(event), _UNREMARKABLE)
    if isinstance(event, events.StoreRolledBack) and event.recovered:
        level = logging.WARNING
    fields = {name: value for name, value in asdict(event).items() if name not in {"at", "device"}}
    LOG.log(level, type(event).__name__, extra={"fields": fields})


class AccessLog:
    """Logs each request: method, path without its query, status, milliseconds."""

    def __init__(self, app: ASGIApp) -> None:
        """Stand before an application."""
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request and log it."""
        if scope["type"] != "http" or not ACCESS.isEnabledFor(logging.INFO):
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 500

        async def watch(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, watch)
        finally:
            client = scope.get("client")
            fields = {
                "status": status,
                "ms": round((time.perf_counter() - began) * 1000, 1),
                "client": client[0] if client else "-",
            }
            path = quote(scope["path"][:_LONGEST_PATH])  # no line of one's own choosing in the log
            ACCESS.info("%s %s", scope["method"], path, extra={"fields": fields})


def _number(level: str) -> int:
    return logging.getLevelNamesMapping()[level]
