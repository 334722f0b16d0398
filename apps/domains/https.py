"""How a name is answered over HTTPS, decided from what is wanted and what is really served, and
the words for it. Nothing here asks anybody."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from apps.domains.acme import is_public_name
from apps.domains.certificate_models import WARNING
from apps.domains.hindrance import Hindrance
from apps.domains.models import CertificateOrder, ServedCertificate
from apps.engine.certificates import listed
from apps.engine.routes import WILD, Https
from apps.engine.tls_files import MODERN
from apps.projects.https_models import HttpsBy, Redirect

Kind = ServedCertificate.Kind
PATIENCE = dt.timedelta(hours=1)
"""After so long a certificate that was asked for is late."""


@dataclass(frozen=True)
class Wish:
    """What is wanted for one name."""

    by: HttpsBy
    resolver: str = ""
    """Who gets an automatic one; empty while nobody is asked."""
    fingerprint: str = ""
    """Of the one that was uploaded, is for the name and may be served; empty without one."""

    @property
    def has_certificate(self) -> bool:
        return bool(self.fingerprint)


@dataclass(frozen=True)
class Rules:
    """What the name's app says."""

    redirect: Redirect = Redirect.ON
    hsts_seconds: int = 0
    is_strict: bool = False
    """TLS 1.3 only."""
    port: int = 443


def https_of(
    wish: Wish, *, served: ServedCertificate | None, rules: Rules, now: dt.datetime
) -> Https | None:
    """None for plain HTTP only.

    A name is answered over HTTPS as soon as there is, or will be, a certificate. Visitors are sent
    there, and browsers told to stay, only while a valid one is really served: one that has yet to
    come, or that has ended, never takes the way by plain HTTP away. Browsers that keep HSTS do not
    come back before it is over; all others reach the app.
    """
    is_valid = is_served(wish, served, now)
    if not (is_valid or _is_coming(wish)):
        return None
    is_public = is_valid and served is not None and served.kind != Kind.LOCAL
    return Https(
        resolver=wish.resolver if wish.by == HttpsBy.AUTOMATIC else "",
        redirects=(is_public and rules.redirect != Redirect.OFF)
        or (is_valid and rules.redirect == Redirect.ALWAYS),
        port=rules.port,
        # Never for a self-signed one: HSTS for localhost would bind every program of a developer.
        hsts_seconds=rules.hsts_seconds if is_public else 0,
        options=MODERN if rules.is_strict else "",
    )


def is_served(wish: Wish, served: ServedCertificate | None, now: dt.datetime) -> bool:
    """Whether visitors get a certificate that is valid for what is wanted."""
    if served is None or wish.by == HttpsBy.OFF or not served.is_valid(now):
        return False
    return served.kind != Kind.LOCAL or wish.by == HttpsBy.SELF


def _is_coming(wish: Wish) -> bool:
    match wish.by:
        case HttpsBy.AUTOMATIC:
            return bool(wish.resolver)
        case HttpsBy.OWN:
            return wish.has_certificate
        case HttpsBy.SELF:
            return True
    return False


# ------------------------------------------------------------------------------------------ words


@dataclass(frozen=True)
class State:
    """What the page says of one name."""

    word: str
    tone: str
    """`valid`, `pending`, `waiting`, `error` or `none` (see the interface's states)."""
    detail: str = ""
    upload: bool = False
    """Whether the next step is to upload a certificate."""

    @property
    def needs_attention(self) -> bool:
        return self.tone in ("waiting", "error")


def state_of(
    wish: Wish,
    *,
    served: ServedCertificate | None,
    host: str,
    now: dt.datetime,
    order: CertificateOrder | None = None,
    hindrance: Hindrance = Hindrance.NONE,
) -> State:
    """`order` is how far an automatic certificate is, where that is known, and `hindrance` what
    keeps it from being asked for."""
    if wish.by == HttpsBy.OFF:
        return State("Plain HTTP", "none", "HTTPS is off")
    is_covered = order is not None and order.state == CertificateOrder.State.COVERED
    if order is not None and is_covered and wish.by == HttpsBy.AUTOMATIC:
        return _covered(wish, served, order.detail, now)
    if served is not None and is_served(wish, served, now):
        return _valid(wish, served, order, hindrance, now)
    if served is not None and served.not_after and served.not_after <= now:
        return State(f"Ended {day(served.not_after, now)}", "error", *_successor(wish, hindrance))
    if served is not None and served.kind == Kind.BAD:
        return State("Certificate not valid", "error", served.problem, wish.by == HttpsBy.OWN)
    if wish.by == HttpsBy.AUTOMATIC and hindrance == Hindrance.CREDENTIALS:
        return State("No certificate", "waiting", _CREDENTIALS)
    if wish.by == HttpsBy.AUTOMATIC and not wish.resolver and order is not None:
        if order.state == CertificateOrder.State.FAILED:
            return State("No certificate", "error", "Below is why; plain HTTP works meanwhile")
        return State("In line for a certificate", "none", _IN_LINE[hindrance])
    return _coming(wish, served, host, now)


_IN_LINE = {
    Hindrance.NONE: "Asked for when its turn has come",
    Hindrance.ASKING: "Asked for once its DNS has answered",
    Hindrance.DNS: "Asked for when its DNS leads here",
    Hindrance.CAA: "Asked for when its CAA records let the issuer",
}
_CREDENTIALS = "Wildcards are proven with DNS credentials, and none are set for this one"


def _valid(
    wish: Wish,
    served: ServedCertificate,
    order: CertificateOrder | None,
    hindrance: Hindrance,
    now: dt.datetime,
) -> State:
    assert served.not_after is not None
    left = served.not_after - now
    if other := _in_place_of(wish, served, order):
        return State(f"HTTPS, {served.issuer}", "waiting", other)
    if left < WARNING and wish.by != HttpsBy.SELF:
        return State(f"Ends {in_days(left)}", "waiting", *_successor(wish, hindrance))
    who = "self-signed" if served.kind == Kind.LOCAL else served.issuer
    details = {
        HttpsBy.SELF: "Browsers warn until they trust this Mist's root",
        HttpsBy.AUTOMATIC: "Renews itself",
        HttpsBy.OWN: "Uploaded" if wish.has_certificate else "Automatic: none was uploaded for it",
    }
    word = f"HTTPS, {who}, ends {day(served.not_after, now)}"
    if wish.by == HttpsBy.AUTOMATIC and hindrance == Hindrance.CREDENTIALS:
        return State(word, "waiting", f"Will not be renewed. {_CREDENTIALS}")
    return State(word, "valid", details[wish.by])


def _in_place_of(
    wish: Wish, served: ServedCertificate, order: CertificateOrder | None = None
) -> str:
    """That another one is served than is wanted; empty where it is not."""
    if wish.fingerprint and served.fingerprint != wish.fingerprint:
        return "Another one is served than was uploaded for it last"
    if wish.by == HttpsBy.SELF and served.kind != Kind.LOCAL:
        return "Another one is served than Mist has signed for it"
    issued_until = order.ends_at if order is not None else None
    if wish.by == HttpsBy.AUTOMATIC and issued_until and issued_until != served.not_after:
        return "Another one is served than was issued for it last"
    return ""


def _covered(wish: Wish, served: ServedCertificate | None, by: str, now: dt.datetime) -> State:
    """Of an automatic name for which Traefik has a certificate that somebody gave it: `by`."""
    if served is None or not is_served(wish, served, now):
        detail = f"None is ordered: {by} is for this name too"
        return State("No valid certificate", "waiting", detail)
    assert served.not_after is not None
    left = served.not_after - now
    if left < WARNING:
        return State(f"Ends {in_days(left)}", "waiting", f"Served by {by}: upload its successor")
    word = f"HTTPS, {served.issuer}, ends {day(served.not_after, now)}"
    return State(word, "valid", f"Served by {by}: none is ordered")


def _successor(wish: Wish, hindrance: Hindrance) -> tuple[str, bool]:
    """What to do about the end of a certificate."""
    if wish.by == HttpsBy.OWN:
        return "Upload its successor", True
    if wish.by == HttpsBy.AUTOMATIC and hindrance == Hindrance.CREDENTIALS:
        return f"Will not be renewed. {_CREDENTIALS}", False
    if wish.by == HttpsBy.SELF:
        return "Mist makes a new one", False
    return "Its successor has not come: see that the name leads to this server", False


def _coming(wish: Wish, served: ServedCertificate | None, host: str, now: dt.datetime) -> State:
    since = served.waits_since if served is not None else None
    is_late = since is not None and now - since > PATIENCE
    if wish.by == HttpsBy.OWN and not wish.has_certificate:
        return State("No certificate", "waiting", "None of this project is for this name", True)
    if wish.by == HttpsBy.AUTOMATIC and not wish.resolver:
        if not is_public_name(host.removeprefix(WILD)):
            return State("No certificate", "none", "Public authorities certify no such name")
        return State("No certificate yet", "none", "Nobody is asked for one now")
    if is_late:
        assert since is not None
        detail = f"Asked for since {day(since, now)}; plain HTTP works on"
        return State("No certificate yet", "waiting", detail)
    detail = "Usually under a minute; plain HTTP works meanwhile"
    return State("Waiting for a certificate", "pending", detail)


def certificate_state(not_after: dt.datetime, foreign: list[str], now: dt.datetime) -> State:
    """What the list of certificates says of one."""
    if not_after <= now:
        return State(f"Ended {day(not_after, now)}", "error", "Upload its successor")
    if foreign:
        return State("Not served", "error", f"Another project, or Mist, has {listed(foreign)}")
    if not_after - now < WARNING:
        return State(f"Ends {in_days(not_after - now)}", "waiting", "Upload its successor")
    return State(f"Ends {day(not_after, now)}", "valid")


def day(moment: dt.datetime, now: dt.datetime) -> str:
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}"


def in_days(left: dt.timedelta) -> str:
    days = left.days
    return "today" if days < 1 else f"in {days} day{'s' if days > 1 else ''}"
