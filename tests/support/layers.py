"""The table of layers, from the bottom up: the one place that says who may import whom.

A module may import what stands on a lower line, and what stands in its own entry. Entries on one line are
siblings that do not know each other. The longest entry that fits a module's name is its entry; a name that
ends in `!` stands for that module alone, not for what is inside it.

To add a module: if no entry fits, add one on the line below which everything stands that it needs.
"""

from __future__ import annotations

from tests.support.sources import is_within

LAYERS: tuple[tuple[str, ...], ...] = (
    ("keyturn.errors", "keyturn.forks"),
    ("keyturn.durations",),
    ("keyturn.policy",),
    ("keyturn._core",),
    ("keyturn.events", "keyturn.results"),
    ("keyturn._core.claims", "keyturn._core.steps", "keyturn._core.minting", "keyturn._core.verified"),
    ("keyturn._core.refreshing", "keyturn._core.verifying"),
    ("keyturn._core.settling",),
    ("keyturn._core.access_engine",),
    ("keyturn._core.engine",),
    ("keyturn.files", "keyturn.sealing", "keyturn.signers", "keyturn.timed", "keyturn.watchers"),
    ("keyturn.keys", "keyturn.jwks", "keyturn.revocation"),
    ("keyturn.access",),
    ("keyturn.stores.protocol", "keyturn.stores!"),
    ("keyturn.stores",),
    ("keyturn.stores.urls",),
    ("keyturn.stores.engines",),
    ("keyturn.keystores",),
    ("keyturn.deferred", "keyturn.publishing", "keyturn.seen", "keyturn.waiting", "keyturn.reading"),
    ("keyturn.audit", "keyturn.following"),
    ("keyturn.manager_base",),
    ("keyturn.manager",),
    ("keyturn!",),
    ("keyturn.http",),
    ("keyturn.lab", "keyturn.pages"),
    (
        "keyturn.starlette",
        "keyturn.flask",
        "keyturn.django",
        "keyturn.litestar",
        "keyturn.aiohttp",
        "keyturn.client",
        "keyturn.testing",
    ),
    ("keyturn.fastapi", "keyturn.pytest_plugin"),
    ("keyturn.server",),
    ("keyturn.cli",),
)

# Nothing outside imports these, whatever its line: they are ends, not parts.
ENDS = ("keyturn.testing", "keyturn.cli", "keyturn.pytest_plugin")

# The core and all of Keyturn that it may import: pure, so no clock, no chance, no network, no framework.
CORE = "keyturn._core"
PURE = (CORE, "keyturn.events", "keyturn.results", "keyturn.policy", "keyturn.durations", "keyturn.errors")
# Which other packages the core may use, and from where: mathematics on bytes that it was given.
PURE_PACKAGES = {
    "typing_extensions": PURE,
    "cryptography": ("keyturn._core.signatures", "keyturn._core.jwk"),
    "joserfc": ("keyturn._core.jwk",),
}

# Which extra of pyproject.toml brings what an entry imports beyond the plain installation.
EXTRAS = {
    "keyturn.stores.sqlalchemy": "sql",
    "keyturn.stores._sql": "sql",
    "keyturn.stores.migrations": "sql",
    "keyturn.stores.schema": "sql",
    "keyturn.stores.engines": "sql",
    "keyturn.keystores.sql": "sql",
    "keyturn.keystores.redis": "redis",
    "keyturn.stores.postgres": "postgres",
    "keyturn.stores._postgres": "postgres",
    "keyturn.stores.redis": "redis",
    "keyturn.stores._redis": "redis",
    "keyturn.starlette": "starlette",
    "keyturn.flask": "flask",
    "keyturn.fastapi": "fastapi",
    "keyturn.django": "django",
    "keyturn.django.rest": "drf",
    "keyturn.django.spectacular": "drf",
    "keyturn.litestar": "litestar",
    "keyturn.aiohttp": "aiohttp",
    "keyturn.client": "client",
    "keyturn.client.keyring": "keyring",
    "keyturn.pages": "pages",
    "keyturn.pytest_plugin": "testing",
    "keyturn.testing": "testing",
    "keyturn.server": "server",
    "keyturn.cli": "server",
}


def rank_and_entry(module: str) -> tuple[int, str] | None:
    """Return the line and the entry that a module belongs to, or None where none fits."""
    fitting = [
        (len(entry), rank, entry)
        for rank, line in enumerate(LAYERS)
        for entry in line
        if (module == entry[:-1] if entry.endswith("!") else is_within(module, entry))
    ]
    if not fitting:
        return None
    _, rank, entry = max(fitting)
    return rank, entry


def extra_of(module: str) -> str | None:
    """Return the extra that a module may use, or None for the plain installation."""
    return EXTRAS.get(max((entry for entry in EXTRAS if is_within(module, entry)), key=len, default=""))


def objection(importer: str, target: str) -> str | None:
    """Return why one module of Keyturn may not import another, or None where it may."""
    lower, upper = rank_and_entry(target), rank_and_entry(importer)
    for name, place in ((importer, upper), (target, lower)):
        if place is None:
            return f"{name} has no line in LAYERS: add it to tests/support/layers.py"
    assert lower is not None
    assert upper is not None
    if lower[1] == upper[1]:
        return None
    if any(is_within(target, end) for end in ENDS):
        return f"{importer} imports {target}, which nothing may import"
    if lower[0] == upper[0]:
        return f"{importer} imports its sibling {target}"
    if lower[0] > upper[0]:
        return f"{importer} imports {target}, which stands above it"
    return None
