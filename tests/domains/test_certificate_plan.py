"""When which name's certificate is asked for."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from apps.domains.acme_models import CertificateOrder
from apps.domains.acme_planning import admit, is_silent, mark_failed, may_press, next_attempt

NOW = dt.datetime(2026, 11, 27, 8, 0, tzinfo=dt.UTC)
State = CertificateOrder.State


def order(host: str, state: str = State.QUEUED, *, age: int = 0, **fields: Any) -> CertificateOrder:
    made = NOW - dt.timedelta(minutes=age)
    return CertificateOrder(host=host, state=state, created_at=made, **fields)


def admitted(*orders: CertificateOrder, away: str = "") -> list[str]:
    found = admit(orders, now=NOW, is_hindered=lambda host: host == away)
    return [one.host for one in found]


def test_three_at_once_those_that_waited_longest_first() -> None:
    orders = [order(f"n{n}", age=n) for n in range(5)]
    assert admitted(*orders) == ["n4", "n3", "n2"]
    assert admitted(order("w", State.WAITING), *orders) == ["n4", "n3"]
    assert admitted(*(order(f"w{n}", State.WAITING) for n in range(3)), *orders) == []


def test_a_name_that_was_refused_waits_alone() -> None:
    late = order("late", State.FAILED, failures=1, next_at=NOW - dt.timedelta(minutes=9))
    assert admitted(late, order("fresh", age=1)) == ["late"]
    assert admitted(late, order("w", State.WAITING)) == []
    again = order("again", State.WAITING, failures=2)
    assert admitted(again, order("fresh")) == []


def test_names_that_an_issuer_could_not_see_to_do_not_wait_alone() -> None:
    down = [
        order(f"n{n}", State.FAILED, failures=1, kind="unreachable", next_at=NOW) for n in range(4)
    ]
    assert len(admitted(*down)) == 3


def test_a_name_is_not_asked_for_before_its_time() -> None:
    early = order("early", State.FAILED, failures=1, next_at=NOW + dt.timedelta(seconds=1))
    never = order("never", State.FAILED, failures=1)
    assert admitted(early, never, order("issued", State.ISSUED)) == []


def test_a_name_that_leads_elsewhere_has_no_turn_and_is_in_nobodys_way() -> None:
    assert admitted(order("away", age=9), order("here"), away="away") == ["here"]


def test_an_issuer_that_counts_five_failures_an_hour_never_counts_so_many() -> None:
    moment, within_hour = NOW, 0
    for failures in range(1, 8):
        within_hour += moment - NOW < dt.timedelta(hours=1)
        moment = next_attempt("connection", failures, now=moment, not_before=None)
    assert within_hour == 3
    assert moment - NOW > dt.timedelta(days=3)


def test_what_is_not_the_names_fault_is_tried_again_sooner() -> None:
    assert next_attempt("unreachable", 1, now=NOW, not_before=None) == NOW + dt.timedelta(minutes=1)
    assert next_attempt("unreachable", 99, now=NOW, not_before=None) == NOW + dt.timedelta(hours=1)


def test_an_issuer_that_says_when_is_not_asked_sooner() -> None:
    later = NOW + dt.timedelta(days=2)
    assert next_attempt("rateLimited", 1, now=NOW, not_before=later) == later


def test_a_failure_is_written_down_whole() -> None:
    one = order("a", State.WAITING, failures=1)
    mark_failed(one, kind="dns", detail="NXDOMAIN", now=NOW, leads=False)
    assert (one.state, one.failures, one.kind, one.detail) == (State.FAILED, 2, "dns", "NXDOMAIN")
    assert (one.failed_at, one.next_at) == (NOW, NOW + dt.timedelta(minutes=30))
    assert one.led_here is False


def test_silence_is_a_failure_after_ten_minutes() -> None:
    asked = NOW - dt.timedelta(minutes=10)
    assert not is_silent(order("a", State.WAITING, asked_at=asked), NOW)
    assert is_silent(order("a", State.WAITING, asked_at=asked - dt.timedelta(seconds=1)), NOW)


@pytest.mark.parametrize(
    ("fields", "may"),
    [
        ({"state": State.FAILED, "failed_at": NOW - dt.timedelta(seconds=61)}, True),
        ({"state": State.FAILED, "failed_at": NOW - dt.timedelta(seconds=59)}, False),
        ({"state": State.WAITING}, False),
        ({"state": State.FAILED, "kind": "rateLimited", "next_at": NOW + dt.timedelta(days=1)}, False),
    ],
)  # fmt: skip
def test_a_person_may_press_once_a_minute_and_not_against_a_limit(
    fields: dict[str, Any], may: bool
) -> None:
    assert may_press(order("a", **fields), NOW) is may
