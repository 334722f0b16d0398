"""How a name is answered over HTTPS: the whole table of what is wanted and what is served."""

from __future__ import annotations

import datetime as dt
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.domains.https import Rules, Wish, https_of, state_of
from apps.domains.models import CertificateOrder, ServedCertificate
from apps.engine.routes import Https
from apps.projects.https_models import HttpsBy, Redirect

NOW = dt.datetime(2026, 6, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
Kind = ServedCertificate.Kind
AUTOMATIC = Wish(HttpsBy.AUTOMATIC, resolver="http")
PAUSED = Wish(HttpsBy.AUTOMATIC)
OWN = Wish(HttpsBy.OWN, fingerprint="ab")
MISSING = Wish(HttpsBy.OWN)
SELF = Wish(HttpsBy.SELF)
OFF = Wish(HttpsBy.OFF)
WISHES = (AUTOMATIC, PAUSED, OWN, MISSING, SELF, OFF)


def served(kind: Kind, days: float = 60, **more: object) -> ServedCertificate:
    return ServedCertificate(
        kind=kind,
        issuer="Let's Encrypt",
        not_before=NOW - DAY,
        not_after=NOW + days * DAY,
        **{"fingerprint": "ab"} | more,
    )


PUBLIC, GIVEN, LOCAL = served(Kind.PUBLIC), served(Kind.GIVEN), served(Kind.LOCAL)
BAD, ENDED = served(Kind.BAD, problem="It is for other names."), served(Kind.PUBLIC, -1)
NONE = ServedCertificate(kind=Kind.NONE)
RULES = Rules(hsts_seconds=3600, port=8443)


@pytest.mark.parametrize(
    ("wish", "seen", "expected"),
    [
        # What is coming is answered, and nobody is sent there before it is.
        (AUTOMATIC, None, "answered"),
        (AUTOMATIC, NONE, "answered"),
        (AUTOMATIC, BAD, "answered"),
        (AUTOMATIC, ENDED, "answered"),
        (AUTOMATIC, LOCAL, "answered"),
        (AUTOMATIC, PUBLIC, "sent on"),
        (AUTOMATIC, GIVEN, "sent on"),
        # While nobody is asked, what is there serves on.
        (PAUSED, None, "plain"),
        (PAUSED, ENDED, "plain"),
        (PAUSED, PUBLIC, "sent on"),
        (OWN, None, "answered"),
        (OWN, BAD, "answered"),
        (OWN, ENDED, "answered"),
        (OWN, GIVEN, "sent on"),
        (OWN, PUBLIC, "sent on"),
        (MISSING, None, "plain"),
        (MISSING, BAD, "plain"),
        (MISSING, PUBLIC, "sent on"),
        (SELF, None, "answered"),
        (SELF, LOCAL, "answered"),
        (SELF, PUBLIC, "sent on"),
        *((OFF, seen, "plain") for seen in (None, NONE, BAD, ENDED, PUBLIC, GIVEN, LOCAL)),
    ],
)
def test_every_wish_and_what_is_served(
    wish: Wish, seen: ServedCertificate | None, expected: str
) -> None:
    found = https_of(wish, served=seen, rules=RULES, now=NOW)
    resolver = wish.resolver
    assert (
        found
        == {
            "plain": None,
            "answered": Https(resolver=resolver, port=8443),
            "sent on": Https(resolver=resolver, port=8443, redirects=True, hsts_seconds=3600),
        }[expected]
    )


def test_a_self_signed_name_redirects_only_where_that_is_chosen_and_never_binds() -> None:
    always = Rules(redirect=Redirect.ALWAYS, hsts_seconds=3600)
    assert https_of(SELF, served=LOCAL, rules=always, now=NOW) == Https(redirects=True)
    assert https_of(SELF, served=None, rules=always, now=NOW) == Https()


def test_without_redirect_both_are_answered_and_browsers_are_told_to_stay() -> None:
    rules = Rules(redirect=Redirect.OFF, hsts_seconds=3600)
    found = https_of(AUTOMATIC, served=PUBLIC, rules=rules, now=NOW)
    assert found == Https(resolver="http", hsts_seconds=3600)


def test_tls_1_3_is_an_option_of_the_name() -> None:
    found = https_of(SELF, served=None, rules=Rules(is_strict=True), now=NOW)
    assert found == Https(options="modern@file")


@given(
    st.sampled_from(WISHES),
    st.sampled_from(list(Kind)),
    st.floats(-400, 400),
    st.sampled_from(list(Redirect)),
    st.sampled_from([0, 3600]),
)
def test_nobody_is_ever_sent_to_what_is_not_valid(
    wish: Wish, kind: Kind, days: float, redirect: Redirect, hsts: int
) -> None:
    seen = served(kind, days)
    found = https_of(wish, served=seen, rules=Rules(redirect, hsts), now=NOW)
    if found is not None and (found.redirects or found.hsts_seconds):
        assert seen.is_valid(NOW) and days > 0 and kind not in (Kind.BAD, Kind.NONE, Kind.UNKNOWN)
        assert found.hsts_seconds in (0, hsts) and not (kind == Kind.LOCAL and found.hsts_seconds)
    assert (found is None) or wish.by != HttpsBy.OFF


@pytest.mark.parametrize(
    ("wish", "seen", "host", "word", "tone"),
    [
        (AUTOMATIC, PUBLIC, "a.shop", "HTTPS, Let's Encrypt, ends 31 Jul", "valid"),
        (AUTOMATIC, served(Kind.PUBLIC, 300), "a.shop", "HTTPS, Let's Encrypt, ends 28 Mar 2027", "valid"),
        (AUTOMATIC, NONE, "a.shop", "Waiting for a certificate", "pending"),
        (AUTOMATIC, ServedCertificate(waits_since=NOW - DAY), "a.shop", "No certificate yet", "waiting"),
        (AUTOMATIC, served(Kind.PUBLIC, 9.5), "a.shop", "Ends in 9 days", "waiting"),
        (OWN, served(Kind.GIVEN, 1.5), "a.shop", "Ends in 1 day", "waiting"),
        (OWN, served(Kind.GIVEN, 0.5), "a.shop", "Ends today", "waiting"),
        (OWN, served(Kind.BAD, -2), "a.shop", "Ended 30 May", "error"),
        (OWN, GIVEN, "a.shop", "HTTPS, Let's Encrypt, ends 31 Jul", "valid"),
        (OWN, BAD, "a.shop", "Certificate not valid", "error"),
        (MISSING, None, "a.shop", "No certificate", "waiting"),
        (SELF, LOCAL, "a.localhost", "HTTPS, self-signed, ends 31 Jul", "valid"),
        (SELF, served(Kind.LOCAL, 9), "a.localhost", "HTTPS, self-signed, ends 10 Jun", "valid"),
        (PAUSED, None, "a.shop", "No certificate yet", "none"),
        (PAUSED, None, "a.localhost", "No certificate", "none"),
        (OFF, PUBLIC, "a.shop", "Plain HTTP", "none"),
    ],
)  # fmt: skip
def test_the_words_say_what_is_so(
    wish: Wish, seen: ServedCertificate | None, host: str, word: str, tone: str
) -> None:
    state = state_of(wish, served=seen, host=host, now=NOW)
    assert (state.word, state.tone) == (word, tone)


@pytest.mark.parametrize(
    ("state", "word", "tone"),
    [("queued", "In line for a certificate", "none"), ("failed", "No certificate", "error")],
)
def test_where_nobody_is_asked_now_the_words_say_why(state: str, word: str, tone: str) -> None:
    order = CertificateOrder(host="a.shop", state=state)
    said = state_of(PAUSED, served=None, host="a.shop", now=NOW, order=order)
    assert (said.word, said.tone) == (word, tone)
    # What is served all the same is what counts.
    assert state_of(PAUSED, served=PUBLIC, host="a.shop", now=NOW, order=order).tone == "valid"


@pytest.mark.parametrize(
    ("wish", "seen", "is_said"),
    [
        (OWN, served(Kind.PUBLIC, fingerprint="cd"), True),
        (OWN, served(Kind.PUBLIC, 9, fingerprint="cd"), True),
        (OWN, PUBLIC, False),
        (SELF, PUBLIC, True),
        (SELF, LOCAL, False),
        (AUTOMATIC, served(Kind.PUBLIC, fingerprint="cd"), False),
        (AUTOMATIC, served(Kind.GIVEN, 30), True),
    ],
)
def test_it_is_said_that_another_one_is_served_than_was_chosen(
    wish: Wish, seen: ServedCertificate, is_said: bool
) -> None:
    order = CertificateOrder(state="issued", ends_at=PUBLIC.not_after)
    state = state_of(wish, served=seen, host="a.shop", now=NOW, order=order)
    assert state.detail.startswith("Another one is served") is is_said
    assert state.needs_attention is is_said


@pytest.mark.parametrize(
    ("seen", "word", "tone", "detail"),
    [
        (None, "No valid certificate", "waiting", "None is ordered: the uploaded certificate x"),
        (BAD, "No valid certificate", "waiting", "None is ordered: the uploaded certificate x"),
        (ENDED, "No valid certificate", "waiting", "None is ordered: the uploaded certificate x"),
        (GIVEN, "HTTPS, Let's Encrypt, ends 31 Jul", "valid", "Served by the uploaded certificate x"),
        (served(Kind.GIVEN, 9), "Ends in 9 days", "waiting", "Served by the uploaded certificate x"),
    ],
)  # fmt: skip
def test_a_name_that_another_certificate_covers_says_which(
    seen: ServedCertificate | None, word: str, tone: str, detail: str
) -> None:
    order = CertificateOrder(state="covered", detail="the uploaded certificate x")
    said = state_of(PAUSED, served=seen, host="a.shop", now=NOW, order=order)
    assert (said.word, said.tone) == (word, tone)
    assert said.detail.startswith(detail)


def test_there_are_words_for_everything() -> None:
    seen = [None, NONE, BAD, ENDED, PUBLIC, GIVEN, LOCAL]
    for wish, one in itertools.product(WISHES, seen):
        state = state_of(wish, served=one, host="a.shop", now=NOW)
        assert state.word and state.tone in ("valid", "pending", "waiting", "error", "none")
