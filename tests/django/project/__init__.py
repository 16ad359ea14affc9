"""A tiny Django project for tests: users with UUID keys, one SQLite file. It knows no test."""
