"""The users of the tiny project."""
