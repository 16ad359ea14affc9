"""Tests of the tests' own tools: a tool that fails quietly would make every test that uses it worthless."""

from __future__ import annotations

import sys
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Page

from keyturn.testing.servers.programs import free_port
from tests.support.browser import INSTALL, require_chromium
from tests.support.processes import running_server, wait_until


def http_server(port: int) -> list[str]:
    """Return the command of a small server that needs nothing of ours."""
    return [sys.executable, "-m", "http.server", "--bind", "127.0.0.1", str(port)]


def test_a_server_runs_until_its_block_ends(empty_folder: Path) -> None:
    """A server answers inside its block, and is gone after it."""
    port = free_port()
    with running_server(http_server(port), port=port, log=empty_folder / "log") as server:
        assert httpx.get(server.url).status_code == 200
        assert "GET / " in server.output()
    assert server.process.poll() is not None


def test_a_killed_server_is_gone_at_once(empty_folder: Path) -> None:
    """`kill()` returns when the process has ended, by SIGKILL."""
    port = free_port()
    with running_server(http_server(port), port=port, log=empty_folder / "log") as server:
        server.kill()
        assert server.process.returncode == -9


def test_a_server_that_fails_shows_its_output(empty_folder: Path) -> None:
    """A server that does not start fails the test at once, with what it printed."""
    command = [sys.executable, "-c", "raise SystemExit('no such table')"]
    with (
        pytest.raises(AssertionError, match="no such table"),
        running_server(command, port=free_port(), log=empty_folder / "log"),
    ):
        pass


def test_waiting_ends() -> None:
    """What never happens fails with its name."""
    with pytest.raises(AssertionError, match="the moon"):
        wait_until(lambda: False, seconds=0.01, what="the moon")


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_a_missing_browser_fails_in_ci_and_skips_elsewhere(
    monkeypatch: pytest.MonkeyPatch, empty_folder: Path, ci: str, outcome: type[BaseException]
) -> None:
    """The rule of browser tests, with the one command that brings the browser."""
    monkeypatch.setenv("PATH", str(empty_folder))
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match=INSTALL):
        require_chromium()


@pytest.mark.browser
def test_a_page_is_a_real_browser(page: Page) -> None:
    """The `page` fixture runs JavaScript in a real Chromium."""
    page.set_content("<p id=here></p><script>here.textContent = 6 * 7</script>")
    assert page.inner_text("#here") == "42"
