"""The application: sign-in, refusals, mistakes, and what it says of itself. Over HTTP, on a real database."""

from __future__ import annotations

import json
import logging
import socket
import threading
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Barrier
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Mount, Route

from keyturn import events
from keyturn.errors import ConfigurationError
from keyturn.keys import KeyRing
from keyturn.manager import TokenManager
from keyturn.publishing import Events
from keyturn.server import Settings, create_app
from keyturn.server.app import build_app
from keyturn.server.demo import DemoUser, prepare_demo
from keyturn.server.logs import JsonFormatter, TextFormatter, log_events
from keyturn.server.opening import Service, open_service
from keyturn.server.page import CONTENT_SECURITY_POLICY
from keyturn.server.safety import check_safety
from keyturn.server.users import User
from keyturn.stores.memory import MemoryStore
from tests.support.processes import wait_until

PASSWORD = "correct horse"
REFRESH_TOKEN = "ktr_" + "A" * 60
PUBLIC = "0.0.0.0"  # noqa: S104  (that it is public is what is tested)


def settings_in(folder: Path, **values: Any) -> Settings:
    """Settings with all files in a folder."""
    given: dict[str, Any] = {
        "store": f"sqlite:///{folder}/keyturn.db",
        "keys_file": f"{folder}/keys.json",
        **values,
    }
    return Settings(**given)


@contextmanager
def serving(app: Starlette) -> Generator[httpx.Client]:
    """Serve an application over HTTP from a thread, lifespan included."""
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        with httpx.Client(base_url=f"http://127.0.0.1:{listener.getsockname()[1]}", timeout=20) as http:
            try:
                yield http
            finally:
                server.should_exit = True
                thread.join(20)


@dataclass(frozen=True, slots=True)
class Running:
    """A running application, and its parts."""

    service: Service
    http: httpx.Client


@pytest.fixture
def running(tmp_path: Path) -> Iterator[Running]:
    """An application with one user."""
    service = open_service(settings_in(tmp_path))
    assert service.users is not None
    service.users.add("alice", PASSWORD, {"roles": ["member"]})
    with serving(build_app(service)) as http:
        yield Running(service, http)


def test_a_user_signs_in_and_changes_reach_the_next_token(running: Running) -> None:
    """Sign-in gives the user's claims; disabling the user ends the session at the next refresh."""
    answer = running.http.post(
        "/auth/login", json={"username": "ALICE", "password": PASSWORD, "transport": "body"}
    )
    tokens = answer.json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert running.http.get("/auth/me", headers=bearer).json()["claims"] == {"roles": ["member"]}
    assert running.service.users is not None
    running.service.users.set_disabled("alice", disabled=True)
    body = {"refresh_token": tokens["refresh_token"]}
    assert running.http.post("/auth/refresh", json=body).status_code == 401
    assert running.http.get("/auth/me", headers=bearer).status_code == 401
    assert (
        running.http.post("/auth/login", json={"username": "alice", "password": PASSWORD}).status_code == 401
    )


def test_a_password_changed_while_it_was_checked(running: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sign-in whose password is changed between its check and its session leaves no session behind."""
    users = running.service.users
    assert users is not None
    check = users.check_stamped

    def check_then_change(username: str, password: str) -> tuple[User, str] | None:
        checked = check(username, password)
        users.set_password(username, "another password, set meanwhile")
        return checked

    monkeypatch.setattr(users, "check_stamped", check_then_change)
    body = {"username": "alice", "password": PASSWORD, "transport": "body"}
    answer = running.http.post("/auth/login", json=body)
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_credentials")
    monkeypatch.undo()
    body["password"] = "another password, set meanwhile"
    tokens = running.http.post("/auth/login", json=body).json()
    bearer = {"Authorization": f"Bearer {tokens['access_token']}"}
    assert len(running.http.get("/auth/sessions", headers=bearer).json()["sessions"]) == 1


def test_failures_to_sign_in_look_alike(running: Running) -> None:
    """An unknown user, a wrong password, and a name that cannot be: one answer."""
    answers = [
        running.http.post("/auth/login", json={"username": name, "password": password})
        for name, password in [
            ("alice", "wrong"),
            ("nobody", PASSWORD),
            ("a\nb", PASSWORD),
            ("alice", "x" * 1024),
        ]
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(401, answers[0].text)}


def test_too_many_attempts(tmp_path: Path) -> None:
    """The eleventh attempt in a minute is not looked at, and is told when to come back."""
    with serving(create_app(settings_in(tmp_path, login_rate="2/minute"))) as http:
        body = {"username": "alice", "password": PASSWORD}
        answers = [http.post("/auth/login", json=body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [401, 401, 429]
    assert 1 <= int(answers[2].headers["Retry-After"]) <= 60


@pytest.mark.parametrize(
    ("method", "path", "status", "error"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("GET", "/healthz/", 404, "not_found"),  # no redirect, whose target a Host header could choose
        ("GET", "/static", 404, "not_found"),
        ("GET", "/static/nowhere.js", 404, "not_found"),
        ("GET", "/static/../settings.py", 404, "not_found"),
        ("GET", "/static/%2e%2e/settings.py", 404, "not_found"),
        ("POST", "/", 405, "method_not_allowed"),
        ("DELETE", "/healthz", 405, "method_not_allowed"),
        ("POST", "/static/index.js", 405, "method_not_allowed"),
        ("GET", "/auth/login", 405, "method_not_allowed"),
        ("POST", "/auth/nowhere", 404, "not_found"),
    ],
)
def test_every_refusal_is_json(running: Running, method: str, path: str, status: int, error: str) -> None:
    """Whatever is asked for in vain is answered in JSON, with the status that fits."""
    answer = running.http.request(method, path)
    assert (answer.status_code, answer.json()["error"]) == (status, error)
    assert answer.headers["Content-Type"] == "application/json"


def test_a_mistake_of_ours_is_a_500_without_details(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The answer says nothing of what happened."""
    app = create_app(settings_in(tmp_path))

    async def broken(_: Request) -> Response:
        raise KeyError(REFRESH_TOKEN)

    app.router.routes.append(Route("/broken", broken))
    with serving(app) as http:
        answer = http.get("/broken")
    assert answer.status_code == 500
    assert answer.json() == {
        "error": "server_error",
        "error_description": "Something went wrong here; it was logged.",
    }


def test_the_page_is_fenced_in_and_says_what_runs(running: Running) -> None:
    """Strict policy, no inline script or style, no address of a third party, the lifetimes in words."""
    answer = running.http.get("/")
    assert answer.headers["Content-Security-Policy"] == CONTENT_SECURITY_POLICY
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "15 minutes" in answer.text
    assert "90 days" in answer.text
    assert "http://" not in answer.text
    assert "https://" not in answer.text
    assert "<script>" not in answer.text
    assert "style=" not in answer.text
    for path in (
        "/static/index.js",
        "/static/base.css",
        "/static/page.css",
        "/static/icon.svg",
        "/favicon.ico",
    ):
        assert running.http.get(path).status_code == 200


def test_health_says_whether_the_store_answers(running: Running, tmp_path: Path) -> None:
    """A server whose store is gone is not well: 503, with the time to come back."""
    assert running.http.get("/healthz").json() == {"status": "ok"}
    for path in tmp_path.glob("keyturn.db*"):
        path.write_bytes(b"no database any more" * 1000)
    answer = running.http.get("/healthz")
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]


def test_keys_that_cannot_be_read_are_an_outage(running: Running, tmp_path: Path) -> None:
    """A token under a key that is unknown here is not judged then: 503, and its cookie stays."""
    other = KeyRing.generate()
    theirs = TokenManager(
        store=MemoryStore(), keys=other, issuer=running.service.manager.issuer, audience="keyturn"
    )
    pair = theirs.issue("alice")
    theirs.close()
    cookie = {
        "cookie": f"{running.service.settings.cookie}={pair.refresh_token}",
        "origin": str(running.http.base_url),
    }
    bearer = {"authorization": f"Bearer {pair.access_token}"}
    assert running.http.get("/auth/me", headers=bearer).status_code == 401
    (tmp_path / "keys.json").unlink()
    running.service.keys._try_to_refresh()
    for answer in (
        running.http.get("/healthz"),
        running.http.get("/auth/me", headers=bearer),
        running.http.post("/auth/refresh", json={"refresh_token": pair.refresh_token}),
        running.http.post("/auth/refresh", headers=cookie),
    ):
        assert answer.status_code == 503, answer.text
        assert answer.headers["Retry-After"]
        assert "set-cookie" not in answer.headers


def test_it_can_be_mounted_in_another_application(tmp_path: Path) -> None:
    """Below a path of another application, page and routes work, and the cookie is for that path."""
    inner = create_app(settings_in(tmp_path, cookie_path="/keys/auth"))
    with serving(Starlette(routes=[Mount("/keys", inner)])) as http:
        assert http.get("/keys/").status_code == 200
        assert http.get("/keys/static/index.js").status_code == 200
        assert http.post("/keys/auth/refresh").status_code == 401


def test_without_a_file_everything_is_in_memory(tmp_path: Path) -> None:
    """The store `memory://` serves a try: users and sessions live as long as the process."""
    service = open_service(settings_in(tmp_path, store="memory://"))
    assert service.users is not None
    (alice, _) = prepare_demo(service.users)
    with serving(build_app(service)) as http:
        body = {"username": "alice", "password": alice.password}
        assert http.post("/auth/login", json=body).status_code == 200
    assert not list(tmp_path.glob("*.db"))


def test_two_demonstrations_start_at_once(tmp_path: Path) -> None:
    """Two first starts on one database both succeed; for each user the password of one of them holds."""
    services = [open_service(settings_in(tmp_path)) for _ in range(2)]
    together = Barrier(2, timeout=30)

    def start(service: Service) -> list[DemoUser]:
        assert service.users is not None
        together.wait()
        return prepare_demo(service.users)

    with ThreadPoolExecutor(2) as threads:
        shown = list(threads.map(start, services))
    users = services[0].users
    assert users is not None
    for same_user in zip(*shown, strict=True):
        assert sum(users.check(one.username, one.password) is not None for one in same_user) == 1


def test_the_demonstration_keeps_away_from_real_users(tmp_path: Path) -> None:
    """Its users get new passwords at each start; where there are other users, it is refused."""
    service = open_service(settings_in(tmp_path))
    assert service.users is not None
    first, again = prepare_demo(service.users), prepare_demo(service.users)
    assert [user.username for user in first] == [user.username for user in again] == ["alice", "bob"]
    assert first[0].password != again[0].password
    assert first[0].password not in repr(first[0])
    assert service.users.check("alice", first[0].password) is None
    assert service.users.check("alice", again[0].password) is not None
    service.users.add("carol", PASSWORD)
    with pytest.raises(ConfigurationError, match="users of its own"):
        prepare_demo(service.users)


@pytest.mark.parametrize(
    ("values", "demo", "danger"),
    [
        ({"issuer": "https://auth.example.com"}, True, "--demo"),
        ({"issuer": "https://auth.example.com", "cookie_secure": False}, False, "cookie_secure"),
        ({}, False, "issuer is no https"),
        ({"issuer": "http://auth.example.com"}, False, "issuer is no https"),
        ({"issuer": "https://auth.example.com", "store": "memory://"}, False, "memory://"),
    ],
)
def test_unsafe_where_others_can_reach_it(values: dict[str, Any], demo: bool, danger: str) -> None:  # noqa: FBT001  (a column of a table)
    """Each danger is refused by name on a public address, not on loopback, and not when asked for loudly."""
    with pytest.raises(ConfigurationError, match=danger):
        check_safety(Settings(host=PUBLIC, **values), demo=demo)
    check_safety(Settings(**values), demo=demo)
    check_safety(Settings(host=PUBLIC, unsafe_allow_public=True, **values), demo=demo)


def test_a_public_server_may_be_safe(tmp_path: Path) -> None:
    """With an https issuer and the defaults, a public address is fine; an app refuses what serve refuses."""
    check_safety(Settings(host=PUBLIC, issuer="https://auth.example.com"), demo=False)
    with pytest.raises(ConfigurationError, match="others can reach"):
        create_app(settings_in(tmp_path, host=PUBLIC))


def test_users_left_over_from_a_demonstration_are_unsafe_in_public(tmp_path: Path) -> None:
    """Their passwords were printed: a public start is refused until they are disabled."""
    settings = settings_in(tmp_path, host=PUBLIC, issuer="https://auth.example.com")
    service = open_service(settings)
    assert service.users is not None
    prepare_demo(service.users)
    with pytest.raises(ConfigurationError, match="were on a screen"):
        open_service(settings)
    for user in service.users.list():
        service.users.set_disabled(user.username, disabled=True)
    open_service(settings)


def test_keys_that_others_may_read_are_refused(tmp_path: Path) -> None:
    """A keys file with loose permissions stops the start."""
    keys = tmp_path / "keys.json"
    KeyRing.generate().save(keys)
    keys.chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600"):
        create_app(settings_in(tmp_path))


@pytest.mark.parametrize("store", ["oracle://db/keyturn", "keyturn.db", "sqlite://", "sqlite:///:memory:"])
def test_a_store_that_is_none(empty_folder: Path, store: str) -> None:
    """A store that this server cannot use is refused before anything is made."""
    with pytest.raises(ConfigurationError):
        create_app(settings_in(empty_folder, store=store))
    assert list(empty_folder.iterdir()) == []


# --- logs -------------------------------------------------------------------------------------------


def record(message: str, *args: object, fields: dict[str, object] | None = None) -> logging.LogRecord:
    """A message, as a handler gets it."""
    error = KeyError(REFRESH_TOKEN)
    made = logging.LogRecord(
        "keyturn.server", logging.ERROR, __file__, 1, message, args, (KeyError, error, None)
    )
    made.__dict__["fields"] = fields or {}
    return made


@pytest.mark.parametrize("formatter", [TextFormatter(), JsonFormatter()], ids=["text", "json"])
def test_no_token_is_ever_logged(formatter: logging.Formatter) -> None:
    """Neither in the message, nor in its fields, nor in the exception that came with it."""
    access = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJ4In0.c2lnbmF0dXJl"
    line = formatter.format(record("got %s", access, fields={"token": REFRESH_TOKEN, "status": 500}))
    assert "eyJ" not in line
    assert "ktr_" not in line
    assert "KeyError" in line
    assert "500" in line


def test_a_json_log_is_one_object_per_line() -> None:
    """Programs that read logs get the fields by name, and a line break in a message breaks no line."""
    line = JsonFormatter().format(record("two\nlines", fields={"status": 200}))
    assert "\n" not in line
    assert json.loads(line)["status"] == 200
    assert json.loads(line)["level"] == "error"


def test_the_access_log_has_no_query_and_no_forged_lines(
    running: Running, caplog: pytest.LogCaptureFixture
) -> None:
    """What a client puts into its address cannot write lines of its own, and queries stay out."""
    messages: list[str] = []

    def logged() -> bool:  # it is, once the answer is on its way
        messages[:] = [entry.getMessage() for entry in caplog.records if entry.name == "keyturn.access"]
        return messages != []

    with caplog.at_level(logging.INFO, "keyturn.access"):
        running.http.get("/x%0AERROR%20forged?token=secret-in-a-query")
        wait_until(logged, what="a line in the access log")
    assert messages == ["GET /x%0AERROR%20forged"]


def test_events_are_logged_at_the_level_they_deserve(caplog: pytest.LogCaptureFixture) -> None:
    """A leaked key and lost writes are critical, a theft is a warning, a refresh is a detail."""
    published = Events(lambda _: None)
    log_events(published)
    rolled_back = events.StoreRolledBack(1.0, "user", "session", 5, recovered=False)
    with caplog.at_level(logging.DEBUG, "keyturn.server"):
        published.publish(events.RefreshForged(1.0, "user", "session", "kid"))
        published.publish(rolled_back)
        published.publish(replace(rolled_back, recovered=True))
        published.publish(events.ReuseDetected(1.0, "user", "session", 3, "fork"))
        published.publish(events.StoreUnavailable(1.0, "rotate"))
        published.publish(events.Revoked(1.0, "user", "session", "logout"))
        published.publish(events.Refreshed(1.0, "user", "session", 4))
    assert [(entry.getMessage(), entry.levelname) for entry in caplog.records] == [
        ("RefreshForged", "CRITICAL"),
        ("StoreRolledBack", "CRITICAL"),
        ("StoreRolledBack", "WARNING"),
        ("ReuseDetected", "WARNING"),
        ("StoreUnavailable", "WARNING"),
        ("Revoked", "INFO"),
        ("Refreshed", "DEBUG"),
    ]
