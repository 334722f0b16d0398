"""Whether a name leads here, as a function of what the DNS says."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.domains.advice import advise
from apps.domains.hindrance import LEADS_HERE
from apps.domains.models import NameCheck
from apps.engine.name_facts import CaaRecord, Lookup, NameFacts, Outcome, OwnAddresses
from apps.engine.name_state import CaaState, NameState, caa_state, decide

OWN = OwnAddresses(("203.0.113.7", "2001:db8::7"), ("10.0.0.5", "127.0.0.1"))
EMPTY = Lookup(Outcome.EMPTY)
OTHER4, OTHER6, PROXY4, PROXY6 = "198.51.100.9", "2001:db8:9::9", "104.16.1.1", "2606:4700::1"

v4s = st.sampled_from([*OWN.public[:1], OTHER4, PROXY4, "10.0.0.5", "127.0.0.1", "8.8.8.8"])
v6s = st.sampled_from([*OWN.public[1:], OTHER6, PROXY6, "::1"])
failures = st.sampled_from([Outcome.FAILED, Outcome.SILENT, Outcome.LOOP])
nothing = st.sampled_from([Outcome.EMPTY, Outcome.NO_NAME])


def lookups(addresses: st.SearchStrategy[str]) -> st.SearchStrategy[Lookup]:
    found = st.lists(addresses, min_size=1, max_size=3, unique=True)
    return st.one_of(
        found.map(lambda values: Lookup(Outcome.FOUND, tuple(values))),
        st.builds(Lookup, nothing),
        st.builds(Lookup, failures, detail=st.just("192.0.2.1 answered SERVFAIL.")),
    )


all_facts = st.builds(
    NameFacts,
    st.sampled_from(["shop.example.com", "*.example.com", "example.com"]),
    lookups(v4s),
    lookups(v6s),
    zone=st.sampled_from(["", "example.com"]),
)
owners = st.sampled_from(
    [OWN, OwnAddresses(), OwnAddresses((), ("10.0.0.5",), frozenset({4})), OwnAddresses((OTHER4,))]
)


def found4(*addresses: str) -> Lookup:
    return Lookup(Outcome.FOUND, addresses)


def state(v4: Lookup, v6: Lookup = EMPTY, own: OwnAddresses = OWN) -> NameState:
    return decide(NameFacts("shop.example.com", v4, v6), own).state


@given(all_facts, owners)
def test_it_leads_here_only_when_all_its_addresses_do(facts: NameFacts, own: OwnAddresses) -> None:
    verdict = decide(facts, own)
    found = [*facts.v4.values, *facts.v6.values]
    if verdict.state == NameState.HERE:
        assert found and any(address in own.public for address in found)
        assert all(address in own.public or address in (PROXY4, PROXY6) for address in found)
    if verdict.state in (NameState.HERE, NameState.PROXIED, NameState.MISSING):
        assert facts.v4.outcome.is_answer and facts.v6.outcome.is_answer
    if any(address == OTHER6 for address in found):
        assert LEADS_HERE.get(verdict.state) is False
    assert set(verdict.wrong) <= set(found)
    assert not set(verdict.wrong) & set(own.public)
    assert (verdict.state == NameState.MISSING) <= (not found)


@given(all_facts, owners)
def test_order_and_repetition_of_records_change_nothing(
    facts: NameFacts, own: OwnAddresses
) -> None:
    turned = NameFacts(
        facts.host,
        Lookup(facts.v4.outcome, facts.v4.values[::-1], detail=facts.v4.detail),
        Lookup(facts.v6.outcome, facts.v6.values[::-1], detail=facts.v6.detail),
        facts.zone,
    )
    assert decide(facts, own).state == decide(turned, own).state
    assert set(decide(facts, own).wrong) == set(decide(turned, own).wrong)


@given(all_facts, owners)
def test_every_state_is_said_in_words_and_its_records_are_right(
    facts: NameFacts, own: OwnAddresses
) -> None:
    verdict = decide(facts, own)
    check = NameCheck(
        host=facts.host, state=verdict.state.value, wrong=list(verdict.wrong), zone=facts.zone,
        addresses=[*facts.v4.values, *facts.v6.values], expected=list(own.public),
        reason=verdict.reason.value, error=verdict.detail,
    )  # fmt: skip
    advice = advise(check)
    assert advice.title and advice.mark in ("valid", "waiting", "error")
    assert (advice.mark == "valid") == (verdict.state in ("here", "proxied", "private"))
    assert bool(advice.todo) == (advice.mark != "valid")
    for record in advice.create:
        assert record.value in own.public
        version = ipaddress.ip_address(record.value).version
        assert record.kind == {4: "A", 6: "AAAA"}[version]
    assert {record.value for record in advice.remove} <= set(verdict.wrong)


@pytest.mark.parametrize(
    ("v4", "v6", "expected"),
    [
        (found4("203.0.113.7"), EMPTY, NameState.HERE),
        (found4("203.0.113.7"), found4("2001:db8::7"), NameState.HERE),
        (EMPTY, found4("2001:db8::7"), NameState.HERE),
        (found4("203.0.113.7", OTHER4), EMPTY, NameState.PARTLY),
        (found4("203.0.113.7"), found4(OTHER6), NameState.PARTLY),
        (found4(OTHER4), EMPTY, NameState.ELSEWHERE),
        (found4(PROXY4), found4(PROXY6), NameState.PROXIED),
        (found4(PROXY4), found4(OTHER6), NameState.PARTLY),
        (found4("10.0.0.5"), EMPTY, NameState.PRIVATE),
        (found4("10.0.0.5", "203.0.113.7"), EMPTY, NameState.PARTLY),
        (Lookup(Outcome.NO_NAME), Lookup(Outcome.NO_NAME), NameState.MISSING),
        (EMPTY, EMPTY, NameState.MISSING),
        (Lookup(Outcome.LOOP), Lookup(Outcome.LOOP), NameState.LOOP),
        (Lookup(Outcome.FAILED), Lookup(Outcome.FAILED), NameState.UNANSWERED),
        (Lookup(Outcome.SILENT), Lookup(Outcome.SILENT), NameState.UNANSWERED),
        (found4("203.0.113.7"), Lookup(Outcome.FAILED), NameState.UNANSWERED),
        (found4(OTHER4), Lookup(Outcome.FAILED), NameState.ELSEWHERE),
    ],
)
def test_each_case_has_its_state(v4: Lookup, v6: Lookup, expected: NameState) -> None:
    assert state(v4, v6) == expected


def test_behind_a_router_a_foreign_address_is_not_called_wrong() -> None:
    behind = OwnAddresses((), ("10.0.0.5",), frozenset({4}))
    assert state(found4("8.8.8.8"), own=behind) == NameState.UNKNOWN
    assert state(found4(PROXY4), own=behind) == NameState.PROXIED
    assert state(found4("8.8.8.8"), found4(OTHER6), own=behind) == NameState.ELSEWHERE
    # No router's public side has an address of a private network.
    assert state(found4("10.9.9.9"), own=behind) == NameState.ELSEWHERE


def caa(*records: str, host: str = "shop.example.com", critical: bool = False) -> CaaState:
    found = tuple(CaaRecord(critical, *record.split(" ", 1)) for record in records)
    return caa_state(NameFacts(host, EMPTY, EMPTY, caa=found))


@pytest.mark.parametrize(
    ("records", "plain", "wild"),
    [
        ((), CaaState.ALLOWS, CaaState.ALLOWS),
        (("iodef mailto:a@b.example",), CaaState.ALLOWS, CaaState.ALLOWS),
        (("issue letsencrypt.org",), CaaState.ALLOWS, CaaState.ALLOWS),
        (("issue other.example", "issue LetsEncrypt.org"), CaaState.ALLOWS, CaaState.ALLOWS),
        (("issue other.example",), CaaState.FORBIDS, CaaState.FORBIDS),
        (("issue ;",), CaaState.FORBIDS, CaaState.FORBIDS),
        (("issuewild other.example",), CaaState.ALLOWS, CaaState.FORBIDS),
        (("issue other.example", "issuewild letsencrypt.org"), CaaState.FORBIDS, CaaState.ALLOWS),
        (("issue letsencrypt.org; validationmethods=dns-01",),) + (CaaState.OTHER_METHOD,) * 2,
        (("issue letsencrypt.org; validationmethods=dns-01,http-01",),) + (CaaState.ALLOWS,) * 2,
        (("issue letsencrypt.org; accounturi=https://x.example/1",),) + (CaaState.ALLOWS,) * 2,
    ],
)  # fmt: skip
def test_caa_says_who_may_issue(records: tuple[str, ...], plain: CaaState, wild: CaaState) -> None:
    assert caa(*records) == plain
    assert caa(*records, host="*.example.com") == wild


def test_a_critical_tag_that_nobody_knows_forbids() -> None:
    assert caa("issue letsencrypt.org", "newtag x", critical=True) == CaaState.FORBIDS
    assert caa("issue letsencrypt.org", "newtag x") == CaaState.ALLOWS
