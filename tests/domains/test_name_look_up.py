"""What the DNS says of a name, asked with real packets."""

from __future__ import annotations

import pytest

from apps.engine import name_lookup
from apps.engine.name_facts import NameFacts, Outcome, parse_server
from tests.machine.dns_host import DnsHost


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(name_lookup, "TRY_SECONDS", 0.3)


def look_up(host: DnsHost, name: str) -> NameFacts:
    return name_lookup.look_up(name, [parse_server(host.server)])


def test_both_kinds_of_addresses_and_the_zone_are_found(dns_host: DnsHost) -> None:
    dns_host.add("shop.example.com", "A", "203.0.113.7", "198.51.100.7")
    dns_host.add("shop.example.com", "AAAA", "2001:db8::7")
    facts = look_up(dns_host, "shop.example.com")
    assert facts.v4.values == ("198.51.100.7", "203.0.113.7")
    assert facts.v6.values == ("2001:db8::7",)
    assert facts.zone == "example.com" and facts.v4.ttl == 300


def test_aliases_are_followed_to_their_end(dns_host: DnsHost) -> None:
    dns_host.add("shop.example.com", "CNAME", "a.example.com.")
    dns_host.add("a.example.com", "CNAME", "b.example.com.")
    dns_host.add("b.example.com", "A", "203.0.113.7")
    facts = look_up(dns_host, "shop.example.com")
    assert facts.v4.chain == ("a.example.com", "b.example.com")
    assert facts.v4.outcome == Outcome.FOUND and facts.v6.outcome == Outcome.EMPTY


def test_no_such_name_differs_from_a_name_without_addresses(dns_host: DnsHost) -> None:
    dns_host.add("mail.example.com", "TXT", '"hello"')
    assert look_up(dns_host, "gone.example.com").v4.outcome == Outcome.NO_NAME
    assert look_up(dns_host, "mail.example.com").v4.outcome == Outcome.EMPTY
    assert look_up(dns_host, "example.com").zone == "example.com"


@pytest.mark.parametrize("word", ["SERVFAIL", "REFUSED"])
def test_an_error_is_no_answer_and_says_whose_it_is(dns_host: DnsHost, word: str) -> None:
    dns_host.rcodes["shop.example.com"] = word
    facts = look_up(dns_host, "shop.example.com")
    assert facts.v4.outcome == Outcome.FAILED
    assert facts.v4.detail == f"127.0.0.1 answered {word}."


def test_silence_ends_in_time_and_asks_nothing_more(dns_host: DnsHost) -> None:
    dns_host.silent.add("shop.example.com")
    facts = look_up(dns_host, "shop.example.com")
    assert facts.v4.outcome == facts.v6.outcome == Outcome.SILENT
    assert facts.v4.detail == "127.0.0.1 did not answer."
    assert {question.split("/")[1] for question in dns_host.asked} == {"A", "AAAA"}


def test_another_server_is_asked_when_the_first_is_silent(dns_host: DnsHost) -> None:
    dns_host.add("shop.example.com", "A", "203.0.113.7")
    nobody = ("127.0.0.1", 9)
    facts = name_lookup.look_up("shop.example.com", [nobody, parse_server(dns_host.server)])
    assert facts.v4.values == ("203.0.113.7",)


def test_a_circle_of_aliases_is_told_from_a_failure(dns_host: DnsHost) -> None:
    dns_host.add("a.example.com", "CNAME", "b.example.com.")
    dns_host.add("b.example.com", "CNAME", "c.example.com.")
    dns_host.add("c.example.com", "CNAME", "b.example.com.")
    facts = look_up(dns_host, "a.example.com")
    assert facts.v4.outcome == Outcome.LOOP
    assert facts.v4.chain == ("b.example.com", "c.example.com", "b.example.com")


def test_of_a_wildcard_a_made_up_name_is_asked_for(dns_host: DnsHost) -> None:
    dns_host.add("*.apps.example.com", "A", "203.0.113.7")
    dns_host.add("known.apps.example.com", "A", "198.51.100.7")
    facts = look_up(dns_host, "*.apps.example.com")
    assert facts.v4.values == ("203.0.113.7",) and facts.zone == "example.com"
    first = dns_host.asked[0].split(".")[0]
    look_up(dns_host, "*.apps.example.com")
    assert not any(question.startswith(("*", "known")) for question in dns_host.asked)
    assert sum(question.startswith(first) for question in dns_host.asked) == 2


def test_caa_is_that_of_the_nearest_name_above(dns_host: DnsHost) -> None:
    dns_host.add("a.shop.example.com", "A", "203.0.113.7")
    dns_host.add("example.com", "CAA", '0 issue "other.example"', '128 iodef "mailto:a@b.example"')
    facts = look_up(dns_host, "a.shop.example.com")
    assert facts.caa_at == "example.com" and not facts.caa_failed
    assert {(one.critical, one.tag, one.value) for one in facts.caa} == {
        (False, "issue", "other.example"),
        (True, "iodef", "mailto:a@b.example"),
    }
    dns_host.rcodes["shop.example.com/CAA"] = "SERVFAIL"
    facts = look_up(dns_host, "a.shop.example.com")
    assert facts.caa_failed and facts.caa_at == "shop.example.com"


def test_without_a_server_to_ask_it_says_so() -> None:
    facts = name_lookup.look_up("shop.example.com", [])
    assert facts.v4.outcome == Outcome.SILENT and "/etc/resolv.conf" in facts.v4.detail


@pytest.mark.parametrize(
    ("text", "server"),
    [
        ("192.0.2.1", ("192.0.2.1", 53)),
        ("192.0.2.1:5353", ("192.0.2.1", 5353)),
        ("2001:db8::1", ("2001:db8::1", 53)),
        ("[2001:db8::1]", ("2001:db8::1", 53)),
        ("[2001:db8::1]:5353", ("2001:db8::1", 5353)),
    ],
)
def test_a_servers_address_is_read(text: str, server: tuple[str, int]) -> None:
    assert parse_server(text) == server


@pytest.mark.parametrize(
    "text", ["", "dns.example", "192.0.2.1:", "192.0.2.1:0", "[2001:db8::1]53", "1.2.3.4:99999"]
)
def test_what_is_no_servers_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_server(text)
