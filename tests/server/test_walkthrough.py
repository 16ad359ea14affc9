"""The lines of curl that the README shows, run word for word against a real server."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from tests.support.keyturn_server import demo_password, keyturn_server

README = Path(__file__).parents[2] / "README.md"


def test_the_walkthrough_does_what_it_says(tmp_path: Path) -> None:
    """Login, refresh, and the new token works; a replay of the old one ends the session for everybody."""
    with keyturn_server(tmp_path, "--demo", "--race-window", "1s") as server:
        block = re.search(r"## With curl\n.*?```sh\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
        assert block
        script = (
            block[1]
            .replace("what the server printed for alice", demo_password(server, "alice"))
            .replace("http://127.0.0.1:8000", server.url)
        )
        run = subprocess.run(
            ["bash", "-eu", "-c", script],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        log = server.output()
    assert run.returncode == 0, run.stderr
    assert re.findall(r" (\d{3})$", run.stdout, re.MULTILINE) == ["200", "401", "401", "401"], run.stdout
    assert '"roles":["admin","member"]' in run.stdout
    assert "WARNING  keyturn.server: ReuseDetected" in log
    assert "ktr_" not in log
    assert "eyJ" not in log
