"""What tests of applications do with Keyturn: sign in, turn time, race, steal. It knows no pytest.

`keyturn.pytest_plugin` hands a `Lab` or an `AsyncLab` to a test. Nothing here stands in for Keyturn: the
manager is the application's own, and what happens is what it does. No extra is needed.
"""

from __future__ import annotations

from keyturn.lab.bench import Bench, is_manager, opened
from keyturn.lab.clock import ManualClock
from keyturn.lab.coloured import AsyncLab, AsyncSignedIn
from keyturn.lab.deeds import Race
from keyturn.lab.faults import LabError
from keyturn.lab.loops import OwnLoop
from keyturn.lab.plain import Lab, SignedIn, lab_on
from keyturn.lab.recorder import Recorder
from keyturn.lab.running import Portal

__all__ = [
    "AsyncLab",
    "AsyncSignedIn",
    "Bench",
    "Lab",
    "LabError",
    "ManualClock",
    "OwnLoop",
    "Portal",
    "Race",
    "Recorder",
    "SignedIn",
    "is_manager",
    "lab_on",
    "opened",
]
