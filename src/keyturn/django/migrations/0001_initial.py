"""Sessions, denials, the audit trail and the locks of users."""

from __future__ import annotations

from django.db import migrations, models

import keyturn.django.fields


class Migration(migrations.Migration):
    """The tables as they were at first."""

    initial = True

    dependencies = ()

    operations = (
        migrations.CreateModel(
            name="UserLock",
            fields=[
                ("stripe", models.PositiveSmallIntegerField(primary_key=True, serialize=False)),
            ],
            options={
                "default_permissions": (),
            },
        ),
        migrations.CreateModel(
            name="Session",
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
            ],
            options={
                "verbose_name": "session",
                "verbose_name_plural": "sessions",
                "permissions": (("revoke_session", "Can revoke sessions"),),
                "swappable": "KEYTURN_SESSION_MODEL",
                "default_permissions": ("view",),
                "indexes": [
                    models.Index(fields=["user_id", "sid"], name="keyturn_ses_user_id_1b71bb_idx"),
                    models.Index(fields=["expires_at", "sid"], name="keyturn_ses_expires_555f05_idx"),
                ],
            },
        ),
        migrations.CreateModel(
            name="Denial",
            fields=[
                (
                    "token_id",
                    keyturn.django.fields.ExactCharField(max_length=255, primary_key=True, serialize=False),
                ),
                ("expires_at", models.BigIntegerField()),
                ("reason", keyturn.django.fields.ExactCharField(max_length=255)),
                ("denied_at", models.BigIntegerField()),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["expires_at", "token_id"], name="keyturn_den_expires_e4b14c_idx")
                ],
            },
        ),
        migrations.CreateModel(
            name="TrailLine",
            fields=[
                ("id", models.UUIDField(primary_key=True, serialize=False)),
                ("sid", models.UUIDField()),
                ("at", models.BigIntegerField()),
                ("kind", keyturn.django.fields.ExactCharField(max_length=16)),
                ("reason", keyturn.django.fields.ExactCharField(max_length=255)),
                ("gen", models.BigIntegerField()),
                ("device", keyturn.django.fields.JsonTextField()),
                ("context", keyturn.django.fields.ExactCharField(max_length=16)),
            ],
            options={
                "default_permissions": (),
                "indexes": [
                    models.Index(fields=["sid", "id"], name="keyturn_tra_sid_aaa754_idx"),
                    models.Index(fields=["at", "id"], name="keyturn_tra_at_a6c144_idx"),
                ],
            },
        ),
    )
