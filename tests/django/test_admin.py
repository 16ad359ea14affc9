"""The admin's pages, asked for as staff with and without rights. A browser is in test_admin_browser.py."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.models import Permission
from django.test import Client, override_settings

from keyturn import KeyRing, TokenManager
from keyturn.django import get_manager
from keyturn.django.models import Session
from keyturn.django.store import DjangoStore
from keyturn.django.users import user_id_of
from tests.django.project.accounts.models import User
from tests.support import django_site

pytestmark = pytest.mark.usefixtures("project")

LIST = "/admin/keyturn/session/"
WITH_TRAIL = {"ISSUER": "https://auth.example.com", "AUDIENCE": "api", "AUDIT_RETENTION": "30d"}


def sign_in(name: str, *devices: str) -> str:
    """Make a user with sessions; give the id."""
    user, manager = User.objects.create_user(name, f"{name}@example.com"), get_manager()
    for device in devices:
        manager.issue(user_id_of(user), device={"name": device})
    return user_id_of(user)


def staff(*rights: str) -> Client:
    """Sign somebody in to the admin with some rights."""
    user = User.objects.create_user("staff", password="word", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=rights))
    client = Client()
    client.force_login(user)
    return client


def revocation(action: str, *sessions: Session, confirmed: bool = True) -> dict[str, Any]:
    """Give the form of an action."""
    chosen = {"action": action, "_selected_action": [str(each.sid) for each in sessions]}
    return {**chosen, "confirmed": "yes"} if confirmed else chosen


def test_a_page_takes_as_many_statements_for_many_users_as_for_one() -> None:
    """The users of a page are looked up together."""
    client = staff("view_session")
    counts: list[int] = []
    for names in (["u0"], [f"u{n}" for n in range(1, 40)]):
        for name in names:
            sign_in(name, "Firefox")
        with django_site.statements("default") as sent:
            page = client.get(LIST)
        assert page.status_code == 200
        assert all(name in page.content.decode() for name in names)
        counts.append(len(sent))
    assert counts[0] == counts[1]


def test_whoever_may_only_look_cannot_revoke() -> None:
    """The actions are not offered, and not taken from who posts them all the same."""
    ann, client = sign_in("ann", "Firefox"), staff("view_session")
    assert "revoke_" not in client.get(LIST).content.decode()
    client.post(LIST, revocation("revoke_selected", Session.objects.get()))
    client.post(LIST, revocation("revoke_users", Session.objects.get()))
    assert len(get_manager().sessions(ann)) == 1


def test_nobody_looks_without_the_right() -> None:
    """Being staff is not enough."""
    client = staff()
    assert client.get(LIST).status_code == 403
    assert "Sessions" not in client.get("/admin/").content.decode()


def test_nothing_is_revoked_before_the_question_is_answered() -> None:
    """The first post asks; the second does it, and the admin's own log says who did."""
    ann, client = sign_in("ann", "Firefox"), staff("view_session", "revoke_session")
    session = Session.objects.get()
    asked = client.post(LIST, revocation("revoke_selected", session, confirmed=False))
    assert "Are you sure?" in asked.content.decode()
    assert len(get_manager().sessions(ann)) == 1
    client.post(LIST, revocation("revoke_selected", session))
    assert get_manager().sessions(ann) == []
    assert Session.objects.get().revoked_reason == "admin"
    assert LogEntry.objects.get().object_id == str(session.sid)


def test_what_has_ended_is_not_counted_again() -> None:
    """The message says how many ended now."""
    sign_in("ann", "Firefox", "Safari")
    client, (first, second) = staff("view_session", "revoke_session"), Session.objects.order_by("sid")
    get_manager().revoke(str(first.sid))
    done = client.post(LIST, revocation("revoke_selected", first, second), follow=True)
    assert "1 session was revoked." in done.content.decode()
    Session.objects.filter(sid=first.sid).get(revoked_reason="revoked")  # it keeps its first end


def test_nothing_is_added_edited_or_deleted() -> None:
    """Not even by a superuser: to delete a row is to forget that its session has ended."""
    sign_in("ann", "Firefox")
    User.objects.create_superuser("root")
    client, session = Client(), Session.objects.get()
    client.force_login(User.objects.get(username="root"))
    assert client.get(f"{LIST}add/").status_code == 403
    assert client.post(f"{LIST}{session.sid}/delete/", {"post": "yes"}).status_code == 403
    assert client.post(f"{LIST}{session.sid}/change/", {"user_id": "x"}).status_code == 403
    assert "delete_selected" not in client.get(LIST).content.decode()
    assert Session.objects.get().user_id == session.user_id


def test_a_session_tells_its_story_and_no_secret() -> None:
    """Its page has the audit trail where one is kept; no digest, no branch."""
    with override_settings(KEYTURN=WITH_TRAIL):
        sign_in("ann", "Firefox")
        get_manager().revoke(str(Session.objects.get().sid))
        get_manager().flush()
        session = Session.objects.get()
        page = staff("view_session").get(f"{LIST}{session.sid}/change/").content.decode()
    assert re.search(r"<td>sign_in</td>", page)
    assert re.search(r"<td>revocation</td><td>revoked</td>", page)
    assert bytes(session.secret_digest).hex() not in page
    assert "secret" not in page
    assert "digest" not in page


def test_what_a_device_says_is_text() -> None:
    """A client names its device itself, so its name is no markup."""
    sign_in("ann", "<script>alert(1)</script>")
    client = staff("view_session")
    for path in (LIST, f"{LIST}{Session.objects.get().sid}/change/"):
        page = client.get(path).content.decode()
        assert "<script>alert" not in page
        assert "&lt;script&gt;alert" in page


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        ("q=ann", 2),
        ("q=bob%40example.com", 1),
        ("q=nobody", 0),
        ("state=active", 2),
        ("state=revoked", 1),
        ("state=expired", 0),
        ("state=reuse", 0),
        ("since=1", 3),
        ("since=nonsense", 3),
    ],
)
def test_sessions_are_searched_and_filtered(query: str, shown: int) -> None:
    """By the user's name or address, by state and by the moment of the sign-in."""
    sign_in("ann", "Firefox", "Safari")
    sign_in("bob", "Edge")
    get_manager().revoke(str(Session.objects.order_by("sid")[0].sid))
    page = staff("view_session", "view_user").get(f"{LIST}?{query}").content.decode()
    assert page.count('class="action-select"') in {shown, 0}
    assert f"{shown} session" in page


def test_whoever_may_not_see_users_learns_no_address_of_theirs() -> None:
    """A search for beginnings would spell it out, letter by letter; the name is on the page anyway."""
    sign_in("bob", "Edge")
    client = staff("view_session")
    assert "0 sessions" in client.get(LIST, {"q": "bob@"}).content.decode()
    assert "1 session" in client.get(LIST, {"q": "bo"}).content.decode()


def test_a_session_is_found_by_its_id_and_its_user_id() -> None:
    """As they stand in a log."""
    ann = sign_in("ann", "Firefox")
    sign_in("bob", "Edge")
    client = staff("view_session")
    sid = Session.objects.get(user_id=ann).sid
    for term in (str(sid), ann):
        page = client.get(LIST, {"q": term}).content.decode()
        assert "ann" in page
        assert "1 session" in page


def made_elsewhere() -> TokenManager[Any]:
    """Give a project's own manager, whose sessions are in the other database."""
    ring = KeyRing.generate()
    return TokenManager(store=DjangoStore(using="other"), keys=ring, issuer="i", audience="a")


@pytest.mark.parametrize("settings", [{**WITH_TRAIL, "DATABASE": "other"}, {"MANAGER": made_elsewhere}])
def test_the_pages_look_where_the_sessions_are(tmp_path: Path, settings: dict[str, Any]) -> None:
    """In the database of the setting or of the project's own manager, which no router need name."""
    sign_in("bob", "in the default database")
    with (
        django_site.database("other", django_site.file_settings(tmp_path)),
        override_settings(KEYTURN=settings),
    ):
        django_site.migrate("other")
        client, ann = staff("view_session", "revoke_session"), sign_in("ann", "Firefox", "Safari")
        page = client.get(LIST).content.decode()
        assert "2 sessions" in page
        assert "bob" not in page
        first = Session.objects.using("other").first()
        assert first is not None
        assert "Firefox" in client.get(f"{LIST}{first.pk}/change/").content.decode()
        client.post(LIST, revocation("revoke_selected", first))
        assert len(get_manager().sessions(ann)) == 1
        client.post(LIST, revocation("revoke_users", first))
        assert get_manager().sessions(ann) == []
    assert Session.objects.get().ended is None


def test_the_pages_hide_where_the_sessions_are_elsewhere() -> None:
    """An empty list would look as if nobody were signed in."""
    client = staff("view_session")
    assert "Sessions" in client.get("/admin/").content.decode()
    with override_settings(KEYTURN={**WITH_TRAIL, "STORE": "memory://"}):
        assert "Sessions" not in client.get("/admin/").content.decode()
        assert client.get(LIST).status_code == 403
