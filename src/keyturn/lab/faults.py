"""What the lab says where a test asks for something that makes no sense. It knows nothing else."""

from __future__ import annotations


class LabError(Exception):
    """The test asks for what cannot be, or for what would prove nothing."""
