"""The users, and the session model of the project's own."""

import uuid
from typing import ClassVar

import django.contrib.auth.models
import django.contrib.auth.validators
import django.utils.timezone
from django.db import migrations, models

import keyturn.django.fields


class Migration(migrations.Migration):
    """The tables as they were at first."""

    initial = True

    dependencies: ClassVar = [
        ("auth", "0012_alter_user_first_name_max_length"),
    ]

    operations: ClassVar = [
        migrations.CreateModel(
            name="User",
            fields=[
                ("password", models.CharField(max_length=128, verbose_name="password")),
                ("last_login", models.DateTimeField(blank=True, null=True, verbose_name="last login")),
                (
                    "is_superuser",
                    models.BooleanField(
                        default=False,
                        verbose_name="superuser status",
                    ),
                ),
                (
                    "username",
                    models.CharField(
                        error_messages={"unique": "A user with that username already exists."},
                        max_length=150,
                        unique=True,
                        validators=[django.contrib.auth.validators.UnicodeUsernameValidator()],
                        verbose_name="username",
                    ),
                ),
                ("first_name", models.CharField(blank=True, max_length=150, verbose_name="first name")),
                ("last_name", models.CharField(blank=True, max_length=150, verbose_name="last name")),
                ("email", models.EmailField(blank=True, max_length=254, verbose_name="email address")),
                (
                    "is_staff",
                    models.BooleanField(
                        default=False,
                        verbose_name="staff status",
                    ),
                ),
                (
                    "is_active",
                    models.BooleanField(
                        default=True,
                        verbose_name="active",
                    ),
                ),
                (
                    "date_joined",
                    models.DateTimeField(default=django.utils.timezone.now, verbose_name="date joined"),
                ),
                ("id", models.UUIDField(default=uuid.uuid4, primary_key=True, serialize=False)),
                (
                    "groups",
                    models.ManyToManyField(
                        blank=True,
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.group",
                        verbose_name="groups",
                    ),
                ),
                (
                    "user_permissions",
                    models.ManyToManyField(
                        blank=True,
                        related_name="user_set",
                        related_query_name="user",
                        to="auth.permission",
                        verbose_name="user permissions",
                    ),
                ),
            ],
            options={
                "verbose_name": "user",
                "verbose_name_plural": "users",
            },
            managers=[
                ("objects", django.contrib.auth.models.UserManager()),
            ],
        ),
        migrations.CreateModel(
            name="TenantSession",
            fields=[
                (
                    "sid",
                    models.UUIDField(
                        editable=False, primary_key=True, serialize=False, verbose_name="session id"
                    ),
                ),
                (
                    "user_id",
                    keyturn.django.fields.ExactCharField(
                        editable=False, max_length=255, verbose_name="user id"
                    ),
                ),
                ("secret_digest", models.BinaryField(max_length=32)),
                ("gen", models.BigIntegerField(editable=False, verbose_name="generation")),
                ("parent_branch", models.BinaryField(max_length=8)),
                ("confirmed", models.BooleanField(editable=False)),
                ("created_at", models.BigIntegerField(editable=False)),
                ("rotated_at", models.BigIntegerField(editable=False)),
                ("handed_at", models.BigIntegerField(editable=False)),
                ("last_seen_at", models.BigIntegerField(editable=False)),
                ("idle_ttl", models.BigIntegerField(editable=False, null=True)),
                ("idle_expires_at", models.BigIntegerField(editable=False, null=True)),
                ("expires_at", models.BigIntegerField(editable=False)),
                ("access_ttl", models.BigIntegerField(editable=False, null=True)),
                ("revoked_at", models.BigIntegerField(editable=False, null=True)),
                (
                    "revoked_reason",
                    keyturn.django.fields.ExactCharField(
                        editable=False, max_length=16, null=True, verbose_name="reason"
                    ),
                ),
                ("claims", keyturn.django.fields.JsonTextField(editable=False)),
                ("device", keyturn.django.fields.JsonTextField(editable=False)),
                ("jkt", keyturn.django.fields.ExactCharField(editable=False, max_length=64, null=True)),
                ("tenant", models.CharField(default="main", max_length=20)),
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "permissions": (("revoke_session", "Can revoke sessions"),),
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["user_id", "sid"], name="accounts_te_user_id_4ec927_idx"),
                    models.Index(fields=["expires_at", "sid"], name="accounts_te_expires_ade9d4_idx"),
                ],
            },
        ),
    ]
