"""The paths: those of the notes, and Keyturn's endpoints under /auth."""

from django.urls import include, path
from notes import views

urlpatterns = [
    path("", include("keyturn.django.urls")),
    path("notes", views.notes),
    path("everything", views.everything),
]
