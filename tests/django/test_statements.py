"""How many statements each operation takes, on each engine: counted, so that none is added unnoticed."""

from __future__ import annotations


