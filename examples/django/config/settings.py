"""The settings of a project that begins. Keyturn's are its application and the last two."""

from pathlib import Path

SECRET_KEY = "django-insecure-take-another-one-for-your-own-project"
DEBUG = True
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "keyturn.django", "notes"]
MIDDLEWARE = ["django.middleware.common.CommonMiddleware", "django.middleware.csrf.CsrfViewMiddleware"]
ROOT_URLCONF = "config.urls"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": Path(__file__).parents[1] / "db.sqlite3",
        "OPTIONS": {"transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=WAL"},
    }
}
AUTH_PASSWORD_VALIDATORS = [{"NAME": "keyturn.django.validators.EndSessions"}]
KEYTURN = {
    "ISSUER": "https://notes.example.com",
    "AUDIENCE": "notes",
    "LOAD_CLAIMS": "notes.roles.load_claims",
    "COOKIE_SECURE": False,  # this machine has no HTTPS; leave it out on yours
}
