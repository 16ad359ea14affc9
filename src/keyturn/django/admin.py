"""The admin's pages of sessions: to look at, and to revoke. They decide nothing.

Nothing is added, edited or deleted here. To delete a row is to forget that its session has ended: a stolen
token would then be unknown instead of reused. `manage.py keyturn_purge` removes rows when that is safe.
"""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from django.contrib import admin, messages
from django.contrib.auth import get_permission_codename, get_user_model
from django.db.models import Q, QuerySet
from django.template.response import TemplateResponse
from django.utils.formats import localize
from django.utils.html import format_html, format_html_join
from django.utils.timezone import localtime
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from keyturn._core.ids import parse_session_id
from keyturn.django._orm.operations import UNENDED, lives
from keyturn.django.conf import get_manager
from keyturn.django.models import AbstractSession, TrailLine, moment
from keyturn.django.sessions import get_session_model
from keyturn.django.store import DjangoStore
from keyturn.django.users import find_users, user_id_of
from keyturn.errors import ConfigurationError, KeyturnError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    from django.contrib.admin.views.main import ChangeList
    from django.http import HttpRequest, HttpResponse

    ModelAdmin = admin.ModelAdmin[AbstractSession]
else:
    ModelAdmin = admin.ModelAdmin

MOST_FOUND: Final = 500  # users whose names match what was searched for
MOST_LINES: Final = 500  # of the audit trail on one page
_DAY: Final = 86_400_000


class StateFilter(admin.SimpleListFilter):
    """By what has become of a session."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ANN401, ARG002
        """Give the choices."""
        return [
            ("active", _("Active")),
            ("expired", _("Expired")),
            ("revoked", _("Revoked")),
            ("reuse", _("Ended for reuse")),
        ]

    def queryset(
        self,
        request: HttpRequest,  # noqa: ARG002  (Django's signature)
        queryset: QuerySet[AbstractSession],
    ) -> QuerySet[AbstractSession]:
        """Choose."""
        limits, now = Q(revoked_reason__in=("idle", "absolute")), _now()
        match self.value():
            case "active":
                return queryset.filter(lives(now))
            case "expired":
                return queryset.filter(limits | (UNENDED & ~lives(now)))
            case "revoked":
                return queryset.filter(~UNENDED & ~limits)
            case "reuse":
                return queryset.filter(revoked_reason="reuse")
            case _:
                return queryset


class CreatedFilter(admin.SimpleListFilter):
    """By the moment of the sign-in. Ids sort by it, so the primary key's index answers."""

    title = _("signed in")
    parameter_name = "since"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ANN401, ARG002
        """Give the choices."""
        return [("1", _("Past 24 hours")), ("7", _("Past 7 days")), ("30", _("Past 30 days"))]

    def queryset(
        self,
        request: HttpRequest,  # noqa: ARG002  (Django's signature)
        queryset: QuerySet[AbstractSession],
    ) -> QuerySet[AbstractSession]:
        """Choose."""
        days = self.value()
        if days not in {"1", "7", "30"}:
            return queryset
        return queryset.filter(created_at__gte=_now() - int(days) * _DAY)


class SessionAdmin(ModelAdmin):
    """Sessions: to look at with the right "view", to revoke with "Can revoke sessions"."""

    list_display = ("user", "device_in_words", "state", "last_seen", "created", "expires", "gen")
    list_display_links = ("user",)
    list_filter = (StateFilter, CreatedFilter)
    list_per_page = 50
    show_full_result_count = False  # a second count of all rows, which may be millions
    ordering = ("-sid",)  # the newest sign-in first
    search_fields = ("user_id",)
    search_help_text = _("User id or name, or the id of a session")
    actions = ("revoke_selected", "revoke_users")
    fields = (
        "sid",
        "user",
        "device_in_words",
        "state",
        "created",
        "last_seen",
        "expires",
        "ended",
        "revoked_reason",
        "gen",
        "claims",
        "trail",
    )
    readonly_fields = fields

    def has_module_permission(self, request: HttpRequest) -> bool:
        """Hide the pages where the sessions are elsewhere: they would be empty, and look safe."""
        return _alias() is not None and super().has_module_permission(request)

    def get_queryset(self, request: HttpRequest) -> QuerySet[AbstractSession]:
        """Look where the manager keeps the sessions, which the routers need not know: see `DATABASE`."""
        return super().get_queryset(request).using(_alias())

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ANN401
        """Show nothing of another place, whoever may look: see above."""
        return _alias() is not None and super().has_view_permission(request, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        """Add nothing: sessions begin with a sign-in."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ANN401, ARG002
        """Edit nothing."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ANN401, ARG002
        """Delete nothing: see above."""
        return False

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Tell whether who asks may revoke."""
        user: Any = request.user
        return bool(user.has_perm(f"{self.opts.app_label}.revoke_session"))

    def get_search_results(
        self,
        request: HttpRequest,
        queryset: QuerySet[AbstractSession],
        search_term: str,
    ) -> tuple[QuerySet[AbstractSession], bool]:
        """Find sessions by their user's id or name, or by their own id; by e-mail where users may be seen."""
        term = search_term.strip()
        if not term:
            return queryset, False
        found = Q(user_id=term) | Q(user_id__in=_user_ids(term, emails=_sees_users(request)))
        sid = parse_session_id(term)
        return queryset.filter(found if sid is None else found | Q(sid=sid)), False

    def get_changelist_instance(self, request: HttpRequest) -> ChangeList:
        """Look up the users of a page in one statement."""
        changes = super().get_changelist_instance(request)
        _name_users(changes.result_list)
        return changes

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:  # noqa: ANN401
        """Look up the session's user, too."""
        found = super().get_object(request, object_id, from_field)
        _name_users([] if found is None else [found])
        return found

    @admin.display(description=_("user"), ordering="user_id")
    def user(self, session: Any) -> str:  # noqa: ANN401  (with the name put beside it)
        """Name the user."""
        return str(getattr(session, "user_name", session.user_id))

    @admin.display(description=_("device"))
    def device_in_words(self, session: AbstractSession) -> str:
        """Describe the client."""
        return ", ".join(str(value) for value in session.device.values() if value) or "-"

    @admin.display(description=_("signed in"), ordering="sid")
    def created(self, session: AbstractSession) -> str:
        """Say when the user signed in."""
        return _shown(session.created)

    @admin.display(description=_("last seen"))
    def last_seen(self, session: AbstractSession) -> str:
        """Say when it was last seen in use."""
        return _shown(session.last_seen)

    @admin.display(description=_("expires"))
    def expires(self, session: AbstractSession) -> str:
        """Say when it ends if it rests unused."""
        return _shown(session.expires)

    @admin.display(description=_("ended"))
    def ended(self, session: AbstractSession) -> str:
        """Say when it was ended."""
        return "-" if session.ended is None else _shown(session.ended)

    @admin.display(description=_("state"))
    def state(self, session: AbstractSession) -> str:
        """Say what has become of it."""
        match session.state_at(_now()):
            case "active":
                return str(_("Active"))
            case "expired":
                return str(_("Expired"))
            case "ended" if session.revoked_reason == "reuse":
                return str(_("Ended: a refresh token was used twice"))
            case "ended":
                return str(_("Revoked ({reason})")).format(reason=session.revoked_reason)

    @admin.display(description=_("audit trail"))
    def trail(self, session: AbstractSession) -> str:
        """Tell how it got where it is, where that is kept."""
        using = session._state.db  # noqa: SLF001  (Django's documented name)
        lines = TrailLine._base_manager.using(using).filter(sid=session.sid).order_by("id")  # noqa: SLF001
        told = [(_shown(moment(e.at)), e.kind, e.reason, e.gen, e.context) for e in lines[:MOST_LINES]]
        if not told:
            return str(_("None is kept: see AUDIT_RETENTION."))
        head = (_("When"), _("What"), _("How"), _("Generation"), _("Client"))
        rows = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", told)
        titles = format_html_join("", "<th>{}</th>", ((each,) for each in head))
        return format_html("<table><thead><tr>{}</tr></thead><tbody>{}</tbody></table>", titles, rows)

    @admin.action(description=_("Revoke selected sessions"), permissions=["revoke"])
    def revoke_selected(
        self, request: HttpRequest, queryset: QuerySet[AbstractSession]
    ) -> HttpResponse | None:
        """End the selected sessions, after a question."""
        going = queryset.filter(UNENDED)
        return self._asked(
            request, queryset, "revoke_selected", going.count(), lambda: self._revoke(request, going)
        )

    @admin.action(description=_("Revoke all sessions of these users"), permissions=["revoke"])
    def revoke_users(self, request: HttpRequest, queryset: QuerySet[AbstractSession]) -> HttpResponse | None:
        """End all sessions of the users of the selected ones, after a question."""
        ids = sorted(set(queryset.order_by().values_list("user_id", flat=True)))
        theirs = get_session_model()._base_manager.using(queryset.db).filter(UNENDED, user_id__in=ids)  # noqa: SLF001
        return self._asked(
            request,
            queryset,
            "revoke_users",
            theirs.count(),
            lambda: self._revoke_users(request, theirs),
            users=len(ids),
        )

    def _asked(
        self,
        request: HttpRequest,
        queryset: QuerySet[AbstractSession],
        action: str,
        sessions: int,
        go: Callable[[], int],
        *,
        users: int = 0,
    ) -> HttpResponse | None:
        """Ask first; do it when that was answered."""
        if request.POST.get("confirmed") != "yes":
            context = {
                **self.admin_site.each_context(request),
                "title": _("Are you sure?"),
                "opts": self.opts,
                "action": action,
                "sessions": sessions,
                "users": users,
                "selected": request.POST.getlist("_selected_action"),
                "select_across": request.POST.get("select_across", "0"),
                "media": self.media,
                "queryset": queryset,
            }
            return TemplateResponse(request, "admin/keyturn/revoke_confirmation.html", context)
        try:
            count = go()
        except KeyturnError as error:
            self.message_user(request, str(error), messages.ERROR)
            return None
        told = ngettext("%d session was revoked.", "%d sessions were revoked.", count) % count
        self.message_user(request, told, messages.SUCCESS if count else messages.WARNING)
        return None

    def _revoke(self, request: HttpRequest, going: QuerySet[AbstractSession]) -> int:
        manager, count = get_manager(), 0
        for session in list(going):
            if manager.revoke(str(session.sid), reason="admin"):
                count += 1
                self.log_change(request, session, "Revoked.")
        return count

    def _revoke_users(self, request: HttpRequest, going: QuerySet[AbstractSession]) -> int:
        manager, count, done = get_manager(), 0, set[str]()
        for session in list(going):
            if session.user_id not in done:
                done.add(session.user_id)
                count += manager.revoke_user(session.user_id, reason="admin")
            self.log_change(request, session, "Revoked, with all sessions of its user.")
        return count


def _now() -> int:
    return round(time.time() * 1000)


def _shown(when: datetime) -> str:
    """Write a moment in the reader's language and time zone."""
    return str(localize(localtime(when)))


def _alias() -> str | None:
    """Give the database that the sessions are in; None: they are not in one of Django's."""
    try:
        store: object = get_manager().store
        return store.connection().alias if isinstance(store, DjangoStore) else None
    except KeyturnError:
        return None


def _name_users(sessions: Iterable[Any]) -> None:
    """Put the users' names beside the sessions."""
    sessions = list(sessions)
    users = find_users({session.user_id for session in sessions})
    for session in sessions:
        user = users.get(session.user_id)
        session.user_name = session.user_id if user is None else str(user)


def _sees_users(request: HttpRequest) -> bool:
    """Tell whether who asks may look at users, whose e-mail addresses no page of sessions shows."""
    meta, who = get_user_model()._meta, cast("Any", request.user)  # noqa: SLF001  (Django's documented name)
    return any(
        who.has_perm(f"{meta.app_label}.{get_permission_codename(action, meta)}")
        for action in ("view", "change")
    )


def _user_ids(term: str, *, emails: bool) -> list[str]:
    """Find the ids of users whose name begins so, or whose e-mail address does."""
    model: Any = get_user_model()
    names = {model.USERNAME_FIELD, *([model.get_email_field_name()] if emails else [])}
    present = names & {field.name for field in model._meta.get_fields()}  # noqa: SLF001
    begins = Q(*((f"{name}__istartswith", term) for name in sorted(present)), _connector=Q.OR)
    return [user_id_of(user) for user in model._default_manager.filter(begins)[:MOST_FOUND]]  # noqa: SLF001


with suppress(ConfigurationError):  # keyturn.E006 says it, and could not if this module failed to load
    if not admin.site.is_registered(get_session_model()):  # a project may have a page of its own
        admin.site.register(get_session_model(), SessionAdmin)
