"""The commands of `manage.py`. They know no rule."""
