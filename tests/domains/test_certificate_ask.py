"""For which names certificates are asked, and of whom."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from apps.domains.acme import base_wildcard, issuing, resolvers_for
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.engine.acme import LETS_ENCRYPT, LETS_ENCRYPT_STAGING

pytestmark = pytest.mark.django_db
State = CertificateOrder.State


def settings_are(**fields: Any) -> None:
    AcmeSettings.objects.update_or_create(pk=AcmeSettings.ONLY, defaults=fields)


def account(zones: str = "", **fields: Any) -> DnsAccount:
    made = DnsAccount(provider="cloudflare", zones=zones, **fields)
    made.values = {"CF_DNS_API_TOKEN": "sesame-open"}
    made.save()
    return made


def resolver_for(host: str) -> str:
    return resolvers_for([host])[host]


def turn_of(host: str, state: str = State.WAITING) -> str:
    """The resolver once it is the name's turn."""
    resolver_for(host)
    CertificateOrder.objects.filter(host=host).update(state=state)
    return resolver_for(host)


def test_a_name_stands_in_line_until_its_turn() -> None:
    assert resolver_for("shop.example.com") == ""
    assert CertificateOrder.objects.get().state == State.QUEUED
    assert turn_of("shop.example.com") == "mist-http"
    assert turn_of("shop.example.com", State.ISSUED) == "mist-http"
    assert turn_of("shop.example.com", State.FAILED) == ""
    assert CertificateOrder.objects.count() == 1


def test_names_are_proven_as_it_is_set() -> None:
    settings_are(challenge="tls")
    assert turn_of("shop.example.com") == "mist-tls"


@pytest.mark.parametrize(
    "host", ["web-shop.localhost", "nas", "192.0.2.7", "x.mist.internal", "*.example.com", "a.test"]
)
def test_nobody_is_asked_for_what_no_issuer_can_prove(host: str) -> None:
    assert resolver_for(host) == "" and not CertificateOrder.objects.exists()


def test_an_issuer_of_ones_own_knows_names_that_the_world_does_not() -> None:
    settings_are(directory="https://ca.example.com/dir")
    assert turn_of("wiki.corp.internal") == "mist-http"
    assert resolver_for("web-shop.localhost") == resolver_for("x.mist.internal") == ""


def test_nothing_is_asked_while_it_is_off() -> None:
    turn_of("shop.example.com")
    settings_are(is_on=False)
    assert resolver_for("shop.example.com") == ""


def test_a_wildcard_goes_to_the_provider_that_has_its_zone() -> None:
    one = account("example.com example.org")
    assert turn_of("*.example.com") == f"mist-dns-{one.pk}"
    assert turn_of("*.shop.example.org") == f"mist-dns-{one.pk}"
    assert resolver_for("*.badexample.com") == "" == resolver_for("*.other.net")


def test_own_names_of_apps_share_one_certificate_where_the_base_domain_has_dns(
    settings: Settings,
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    assert base_wildcard() == ""
    assert turn_of("web-shop.apps.example.com") == "mist-http"
    account("example.com")
    assert base_wildcard() == "*.apps.example.com"
    assert resolver_for("web-shop.apps.example.com") == ""
    assert turn_of("www.example.com") == "mist-http"


def test_many_names_cost_as_few_queries_as_one() -> None:
    hosts = [f"n{n}.example.com" for n in range(50)]
    resolvers_for(hosts)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert set(resolvers_for(hosts).values()) == {""}
    assert len(queries) <= 4


def test_traefik_is_told_what_is_set() -> None:
    assert issuing().directory == LETS_ENCRYPT and not issuing().accounts
    settings_are(directory=LETS_ENCRYPT_STAGING, eab_key_id="kid", eab_key="c2VjcmV0")
    account(servers="192.0.2.1:53 192.0.2.2:53", wait_seconds=9, looks=False)
    found = issuing()
    assert (found.directory, found.eab_key) == (LETS_ENCRYPT_STAGING, "c2VjcmV0")
    [one] = found.accounts
    assert one.variables == {"CF_DNS_API_TOKEN": "sesame-open"}
    assert one.servers == ("192.0.2.1:53", "192.0.2.2:53") and one.wait_seconds == 9
