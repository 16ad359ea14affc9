"""Notes, and whose they are."""

from django.conf import settings
from django.db import models


class Note(models.Model):
    """One line of text."""

    owner = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE)
    text = models.TextField()
