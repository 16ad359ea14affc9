"""The plugin itself: how it is set up, what it costs those who do not use it, and what runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import packages_distributions

import pytest

from tests.support.sources import SRC
from tests.support.suites import MANAGER, run

pytest_plugins = ["pytester"]

ASYNC_MANAGER = MANAGER.replace("TokenManager", "AsyncTokenManager").replace(
    "MemoryStore", "AsyncMemoryStore"
)


def test_without_a_manager_it_says_what_to_write(pytester: pytest.Pytester) -> None:
    """Whoever forgot to name the manager reads the three lines, and no traceback."""
    pytester.makepyfile(test_app="def test_it(keyturn): pass")
    done = pytest_of(pytester, "", "-p", "no:cacheprovider")  # where no Django is set up
    assert "1 error" in done.stdout, done.stdout + done.stderr
    for line in ("Write this in conftest.py:", "def keyturn_manager():", "return manager"):
        assert line in done.stdout
    assert "Traceback" not in done.stdout
    assert "pytest_plugin.py" not in done.stdout


def test_what_is_no_manager_is_refused(pytester: pytest.Pytester) -> None:
    """A store, or a class, is not taken for a manager."""
    wrong = MANAGER.replace("return manager", "return TokenManager")
    result = run(pytester, conftest=wrong, test_app="def test_it(keyturn): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["The fixture keyturn_manager gave a type.", "*Write this in conftest.py:*"])


def test_the_lines_that_it_says_are_enough(pytester: pytest.Pytester) -> None:
    """With them, a test has two lines."""
    suite = """
        def test_a_thief_ends_the_session(keyturn):
            ann = keyturn.login_as("ann")
            assert keyturn.simulate_race(ann).converged
        """
    run(pytester, conftest=MANAGER, test_app=suite).assert_outcomes(passed=1)


def test_a_failing_test_gives_the_clock_back(pytester: pytest.Pytester) -> None:
    """The next test finds the manager in its own time, without the events of the one before."""
    suite = """
        import time
        from keyturn import Issued

        def test_fails(keyturn):
            keyturn.login_as("ann")
            keyturn.clock.advance("30d")
            with keyturn.store_away():
                raise ZeroDivisionError

        def test_is_in_its_own_time(keyturn_manager):
            assert abs(keyturn_manager.now() - time.time()) < 60
            keyturn_manager.issue("bob")

        def test_has_no_events(keyturn):
            keyturn.assert_no_event(Issued)
            assert abs(keyturn.clock() - time.time()) < 60
        """
    run(pytester, conftest=MANAGER, test_app=suite).assert_outcomes(failed=1, passed=2)


def test_settings_are_the_applications(pytester: pytest.Pytester) -> None:
    """`keyturn_settings` says how tokens travel."""
    settings = """
        from keyturn.http import HttpSettings

        @pytest.fixture
        def keyturn_settings():
            return HttpSettings(cookie_name="rt", cookie_secure=False)
        """
    suite = """
        def test_it(keyturn):
            assert list(keyturn.login_as("ann").cookies) == ["rt"]
        """
    conftest = MANAGER + "\n".join(line[8:] for line in settings.splitlines())
    run(pytester, conftest=conftest, test_app=suite).assert_outcomes(passed=1)


@pytest.mark.parametrize("manager", [MANAGER, ASYNC_MANAGER], ids=["sync", "async"])
def test_coroutines_and_plain_tests_mix(pytester: pytest.Pytester, manager: str) -> None:
    """pytest-asyncio and anyio run tests with `await` beside plain ones; labs of one test have one clock."""
    suite = """
        import pytest
        from keyturn import Issued

        @pytest.mark.asyncio
        async def test_pytest_asyncio(async_keyturn):
            ann = await async_keyturn.login_as("ann")
            assert (await async_keyturn.simulate_race(ann)).converged
            assert await ann.lives

        @pytest.mark.anyio
        async def test_anyio(async_keyturn):
            ann = await async_keyturn.login_as("ann")
            async_keyturn.clock.advance("100d")
            await ann.assert_ended("absolute")

        @pytest.fixture
        def anyio_backend():
            return "asyncio"

        def test_plain(keyturn):
            ann = keyturn.login_as("ann")
            keyturn.simulate_lost_response(ann)
            ann.refresh()
            ann.assert_lives()

        @pytest.mark.asyncio
        async def test_both(keyturn, async_keyturn):
            assert keyturn.clock is async_keyturn.clock
            await async_keyturn.login_as("ann")
            assert len(keyturn.events.of(Issued)) == 1
        """
    run(pytester, conftest=manager, test_app=suite).assert_outcomes(passed=4)


def installed(pytester: pytest.Pytester) -> dict[str, str]:
    """Put the entry point of an installed Keyturn beside a suite, and give the environment that finds it."""
    folder = pytester.mkdir("site")
    about = folder / "keyturn_as_installed-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: keyturn-as-installed\nVersion: 1\n")
    (about / "entry_points.txt").write_text("[pytest11]\nkeyturn = keyturn.pytest_plugin\n")
    path = os.pathsep.join([str(folder), str(SRC), os.environ.get("PYTHONPATH", "")])
    theirs = {name: value for name, value in os.environ.items() if not name.startswith("DJANGO_")}
    return {**theirs, "PYTHONPATH": path, "PYTEST_ADDOPTS": ""}


def pytest_of(pytester: pytest.Pytester, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run pytest in a process of its own, as a user does, after some code."""
    start = f"import sys; {code}\nimport pytest; sys.exit(pytest.main({list(options)!r}))"
    return subprocess.run(
        [sys.executable, "-c", start],
        cwd=pytester.path,
        env=installed(pytester),
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )


def test_it_is_there_once_keyturn_is_installed(pytester: pytest.Pytester) -> None:
    """The entry point alone brings the fixtures, also into the workers of pytest-xdist."""
    pytester.makepyfile(
        conftest=MANAGER,
        test_app="""
            import pytest

            @pytest.mark.parametrize("number", range(4))
            def test_it(keyturn, number):
                assert keyturn.login_as("ann").lives
            """,
    )
    done = pytest_of(pytester, "", "-n", "2", "-p", "no:cacheprovider")
    assert "4 passed" in done.stdout, done.stdout + done.stderr


def test_those_who_do_not_use_it_do_not_pay(pytester: pytest.Pytester) -> None:
    """Without a test that asks for it, the lab is never imported, and a manager never made."""
    pytester.makepyfile(
        conftest="""
            import pytest

            @pytest.fixture
            def keyturn_manager():
                raise AssertionError("nobody has asked for it")
            """,
        test_app="""
            import sys

            def test_it():
                assert "keyturn.pytest_plugin" in sys.modules
                loaded = {name for name in sys.modules if name.startswith("keyturn.")}
                assert not {name for name in loaded if name.startswith(("keyturn.lab", "keyturn.http"))}
                assert not {name for name in loaded if name.startswith("keyturn.testing")}
            """,
    )
    done = pytest_of(pytester, "", "-p", "no:cacheprovider")
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_needs_no_extra(pytester: pytest.Pytester) -> None:
    """Where nothing is installed but Keyturn and pytest, everything in the plugin works."""
    wanted = {
        "cryptography",
        "joserfc",
        "typing_extensions",
        "pytest",
        "_pytest",
        "pluggy",
        "iniconfig",
        "py",
    }
    wanted |= {"packaging", "pygments", "cffi", "_cffi_backend", "keyturn"}
    extras = sorted(name for name in packages_distributions() if name.isidentifier() and name not in wanted)
    assert {"hypothesis", "httpx", "starlette", "sqlalchemy", "anyio"} <= set(extras)
    pytester.makepyfile(
        conftest=ASYNC_MANAGER,
        test_app="""
            import pytest
            from keyturn import StoreUnavailable

            def test_it(keyturn):
                ann = keyturn.login_as("ann")
                assert keyturn.simulate_race(ann).converged
                with keyturn.store_away(), pytest.raises(StoreUnavailable):
                    ann.refresh()
            """,
    )
    block = f"sys.modules.update(dict.fromkeys({extras!r}))"
    done = pytest_of(
        pytester,
        f"import os; os.environ['PYTEST_DISABLE_PLUGIN_AUTOLOAD'] = '1'; {block}",
        "-p",
        "keyturn.pytest_plugin",
        "-p",
        "no:cacheprovider",
    )
    assert "1 passed" in done.stdout, done.stdout + done.stderr


def test_it_can_be_switched_off(pytester: pytest.Pytester) -> None:
    """`-p no:keyturn` leaves it out, so that it can be loaded at another time, as our own suite does."""
    pytester.makepyfile(
        conftest='pytest_plugins = ["keyturn.pytest_plugin"]\n' + MANAGER,
        test_app="def test_it(keyturn): assert keyturn.login_as('ann').lives",
    )
    done = pytest_of(pytester, "", "-p", "no:keyturn", "-p", "no:cacheprovider")
    assert "1 passed" in done.stdout, done.stdout + done.stderr
