"""Time and chance as tests set them: those of `keyturn.lab`, which needs no extra. No home of its own."""

from __future__ import annotations

from keyturn.lab.clock import START, FixedEntropy, ManualClock

__all__ = ["START", "FixedEntropy", "ManualClock"]
