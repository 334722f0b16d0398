"""How a name is answered over HTTPS, decided from what is wanted and what is really served, and
the words for it. Nothing here asks anybody."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from apps.domains.acme import is_public_name
from apps.domains.certificate_models import WARNING
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
    has_certificate: bool = False
    """Whether one that was uploaded is for the name, and may be served."""


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
) -> State:
    """`order` is how far an automatic certificate is, where that is known."""
    if wish.by == HttpsBy.OFF:
        return State("Plain HTTP", "none", "HTTPS is off")
    if served is not None and is_served(wish, served, now):
        return _valid(wish, served, now)
    if served is not None and served.not_after and served.not_after <= now:
        return State(f"Ended {day(served.not_after, now)}", "error", *_successor(wish))
    if served is not None and served.kind == Kind.BAD:
        return State("Certificate not valid", "error", served.problem, wish.by == HttpsBy.OWN)
    if wish.by == HttpsBy.AUTOMATIC and not wish.resolver and order is not None:
        if order.state == CertificateOrder.State.FAILED:
            return State("No certificate", "error", "Below is why; plain HTTP works meanwhile")
        return State("In line for a certificate", "none", "Asked for when its DNS leads here")
    return _coming(wish, served, host, now)


def _valid(wish: Wish, served: ServedCertificate, now: dt.datetime) -> State:
    assert served.not_after is not None
    left = served.not_after - now
    if left < WARNING and wish.by != HttpsBy.SELF:
        return State(f"Ends {in_days(left)}", "waiting", *_successor(wish))
    who = "self-signed" if served.kind == Kind.LOCAL else served.issuer
    details = {
        HttpsBy.SELF: "Browsers warn until they trust this Mist's root",
        HttpsBy.AUTOMATIC: "Renews itself",
        HttpsBy.OWN: "Uploaded" if wish.has_certificate else "Automatic: none was uploaded for it",
    }
    word = f"HTTPS, {who}, ends {day(served.not_after, now)}"
    return State(word, "valid", details[wish.by])


def _successor(wish: Wish) -> tuple[str, bool]:
    """What to do about the end of a certificate."""
    if wish.by == HttpsBy.OWN:
        return "Upload its successor", True
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
        return State("Not served", "error", f"Another project has {listed(foreign)}")
    if not_after - now < WARNING:
        return State(f"Ends {in_days(not_after - now)}", "waiting", "Upload its successor")
    return State(f"Ends {day(not_after, now)}", "valid")


def day(moment: dt.datetime, now: dt.datetime) -> str:
    year = "" if moment.year == now.year else f" {moment.year}"
    return f"{moment.day} {moment:%b}{year}"


def in_days(left: dt.timedelta) -> str:
    days = left.days
    return "today" if days < 1 else f"in {days} day{'s' if days > 1 else ''}"
