"""One module per command of `manage.py`, named as the command is."""
