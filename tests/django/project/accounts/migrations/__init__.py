"""The migrations of the tiny project."""
