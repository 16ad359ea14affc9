"""Its settings. Whoever starts it says where the database file is (`KEYTURN_TEST_FOLDER`)."""

from __future__ import annotations

import os
from typing import Any

FOLDER = os.environ["KEYTURN_TEST_FOLDER"]
SECRET_KEY = "the secret of tests, which is as long as those that startproject makes"
DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
TIME_ZONE, USE_TZ = "UTC", True  # Django sets the process's time zone
ROOT_URLCONF = "tests.django.project.urls"
STATIC_URL = "static/"
AUTH_USER_MODEL = os.environ.get("KEYTURN_TEST_USER_MODEL", "accounts.User")
DEFAULT_AUTO_FIELD = os.environ.get("KEYTURN_TEST_AUTO_FIELD", "django.db.models.BigAutoField")
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "keyturn.django",
    "tests.django.project.accounts",
]
MIDDLEWARE = [
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
DATABASES: dict[str, dict[str, Any]] = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": f"{FOLDER}/django.sqlite3",
        "OPTIONS": {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL",
        },
    }
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # quick, for tests
AUTH_PASSWORD_VALIDATORS = [{"NAME": "keyturn.django.validators.EndSessions"}]
KEYTURN: dict[str, Any] = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api"}
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["keyturn.django.rest.KeyturnAuthentication"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "keyturn.django.spectacular.add_endpoints",
    ]
}
