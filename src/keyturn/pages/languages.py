"""The languages that come with the pages, which of them a reader gets, and how it writes a moment.

It knows no page and no session.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from types import MappingProxyType
from typing import Final

from babel import Locale, UnknownLocaleError, dates, negotiate_locale

from keyturn.errors import ConfigurationError
from keyturn.pages.texts import Texts

ENGLISH: Final = Texts(
    title="Your devices",
    intro="These devices are signed in to your account. If you do not recognise one, sign it out and change "
    "your password.",
    this_device="This device",
    device="{browser} on {system}",
    unnamed_device="An unnamed device",
    active_now="Active now",
    last_seen="Last seen {when}",
    signed_in="Signed in {when}",
    sign_out="Sign out",
    others_title="All at once",
    others_text="Sign out on all other devices, or on this one too.",
    more="More devices are signed in than are shown here. Signing out all others signs those out, too.",
    only_here="You are signed in on this device only.",
    sign_out_others="Sign out all others",
    sign_out_all="Sign out everywhere",
    done_one="That device is signed out.",
    done_gone="That device was already signed out.",
    done_others="All other devices are signed out.",
    done_this="You are signed out on this device.",
    done_all="You are signed out on all devices.",
    signed_out_title="You are not signed in here",
    signed_out_text="Sign in to see on which devices you are.",
    from_elsewhere="If you are signed in and came here from another site, your browser has not told us yet:",
    sign_in="Sign in",
    elsewhere="Sign in another way",
    username="Username",
    password="Password",  # noqa: S106 - the label of a field
    open_again="Open this page again",
    problem_title="That did not work",
    unavailable="This is not possible right now. Try again in a moment.",
    conflict="Another tab was a moment faster. Try again.",
    foreign="This did not come from this page, so nothing was done.",
    malformed="This could not be understood, so nothing was done.",
    slow_down="Too many attempts. Wait a little, then try again.",
    wrong_password="That username or password is not right.",  # noqa: S106 - a sentence
    session_limit="You are signed in on as many devices as are allowed. Sign out on one of them first.",
    go_back="Back to your devices",
)

GERMAN: Final = Texts(
    title="Ihre Geräte",
    intro="Diese Geräte sind bei Ihrem Konto angemeldet. Wenn Sie eines nicht kennen, melden Sie es ab und "
    "ändern Sie Ihr Passwort.",
    this_device="Dieses Gerät",
    device="{browser} auf {system}",
    unnamed_device="Ein Gerät ohne Namen",
    active_now="Gerade aktiv",
    last_seen="Zuletzt gesehen {when}",
    signed_in="Angemeldet {when}",
    sign_out="Abmelden",
    others_title="Alle auf einmal",
    others_text="Alle anderen Geräte abmelden, oder auch dieses.",
    more="Es sind mehr Geräte angemeldet, als hier zu sehen sind. Mit allen anderen enden auch sie.",
    only_here="Sie sind nur auf diesem Gerät angemeldet.",
    sign_out_others="Alle anderen abmelden",
    sign_out_all="Überall abmelden",
    done_one="Das Gerät ist abgemeldet.",
    done_gone="Das Gerät war schon abgemeldet.",
    done_others="Alle anderen Geräte sind abgemeldet.",
    done_this="Sie sind auf diesem Gerät abgemeldet.",
    done_all="Sie sind auf allen Geräten abgemeldet.",
    signed_out_title="Sie sind hier nicht angemeldet",
    signed_out_text="Melden Sie sich an, um zu sehen, auf welchen Geräten Sie angemeldet sind.",
    from_elsewhere="Wenn Sie angemeldet sind und von einer anderen Website kommen, hat Ihr Browser es uns "
    "noch nicht gesagt:",
    sign_in="Anmelden",
    elsewhere="Anders anmelden",
    username="Benutzername",
    password="Passwort",  # noqa: S106 - the label of a field
    open_again="Diese Seite noch einmal öffnen",
    problem_title="Das hat nicht geklappt",
    unavailable="Das geht gerade nicht. Versuchen Sie es gleich noch einmal.",
    conflict="Ein anderer Tab war einen Augenblick schneller. Versuchen Sie es noch einmal.",
    foreign="Das kam nicht von dieser Seite, deshalb ist nichts geschehen.",
    malformed="Das war nicht zu verstehen, deshalb ist nichts geschehen.",
    slow_down="Zu viele Versuche. Warten Sie ein wenig, und versuchen Sie es dann noch einmal.",
    wrong_password="Benutzername oder Passwort stimmt nicht.",  # noqa: S106 - a sentence
    session_limit="Sie sind auf so vielen Geräten angemeldet, wie erlaubt sind. Melden Sie erst eines ab.",
    go_back="Zurück zu Ihren Geräten",
)

TEXTS: Final = MappingProxyType({"en": ENGLISH, "de": GERMAN})
"""The languages that come with the pages, by their tags (BCP 47); the first is for everybody else."""

_MOST_LANGUAGES: Final = 16
_MAX_ACCEPTED: Final = 512


@dataclass(frozen=True, slots=True)
class Moment:
    """A moment as a person reads it.

    Attributes:
        iso: For programs (HTML, section 4.5.14).
        relative: As seen from now.
        absolute: Its date and time.
    """

    iso: str
    relative: str
    absolute: str


def locale_of(tag: str) -> Locale:
    """Give what is known of a language.

    Raises:
        ConfigurationError: It is none.
    """
    try:
        return Locale.parse(tag, sep="-")
    except (ValueError, UnknownLocaleError) as error:
        raise ConfigurationError(f"texts: {tag!r} is no language tag such as 'en' or 'pt-BR'") from error


def choose(accepted: str | None, tags: Iterable[str]) -> str:
    """Choose a language by `Accept-Language` (RFC 9110, section 12.5.4).

    Args:
        accepted: The header; None where there is none.
        tags: What there is; the first is for whoever accepts none of them.

    Examples:
        >>> choose("fr;q=0.9, de-AT;q=0.8, en;q=0.7", ("en", "de"))
        'de'
    """
    by_name = {tag.lower(): tag for tag in tags}  # tags have no case (RFC 5646, section 2.1.1)
    found = negotiate_locale(_wanted(accepted or ""), by_name, sep="-")
    return by_name[(found or next(iter(by_name))).lower()]


def moment(at: float, now: float, locale: Locale, zone: tzinfo) -> Moment:
    """Write a moment.

    Args:
        at: It, POSIX seconds.
        now: From when it is seen, POSIX seconds; one that is still to come was just now.
        locale: How to write it.
        zone: In which time zone.
    """
    when = datetime.fromtimestamp(at, zone)
    ago = timedelta(seconds=-max(1.0, now - at))
    day = dates.format_date(when, "medium", locale=locale)
    time = dates.format_time(when, "short", tzinfo=zone, locale=locale)
    return Moment(
        iso=when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        relative=dates.format_timedelta(ago, "minute", add_direction=True, locale=locale),
        absolute=f"{day}, {time} {dates.get_timezone_name(when, 'short', locale=locale)}",
    )


def _wanted(accepted: str) -> list[str]:
    """Give the tags of a header in lower case, the most wanted first, without `q=0` and what is not read."""
    found: list[tuple[float, str]] = []
    for part in accepted[:_MAX_ACCEPTED].lower().split(",")[:_MOST_LANGUAGES]:
        tag, _, parameter = part.partition(";")
        name, _, value = parameter.strip().partition("=")
        try:
            quality = float(value) if name.strip() == "q" else 1.0
        except ValueError:
            continue
        if tag.strip() and 0 < quality <= 1:
            found.append((-quality, tag.strip()))
    return [tag for _, tag in sorted(found, key=lambda each: each[0])]
