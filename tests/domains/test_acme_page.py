"""The instance's page of certificates, and what an app's page says of one."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.domains.services import domain_add
from apps.engine.acme import LETS_ENCRYPT
from apps.projects.models import App

URL = "/settings/certificates/"
DNS = f"{URL}dns/"
SECRET = "sesame-open-sesame-42"
State = CertificateOrder.State


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    client.force_login(alice)
    return client


def given(**fields: Any) -> dict[str, Any]:
    usual = {"is_on": "on", "issuer": LETS_ENCRYPT, "challenge": "http", "lifetime_hours": "2160"}
    return usual | fields


def test_it_is_on_and_asks_lets_encrypt_before_anybody_saved_anything(inside: Client) -> None:
    page = inside.get(URL).content.decode()
    assert "terms" in page and f'<option value="{LETS_ENCRYPT}" selected>' in page
    assert not AcmeSettings.objects.exists()


def test_what_is_saved_is_shown_and_written_down_without_the_key(inside: Client) -> None:
    own = "https://ca.example.com:9000/acme/acme/directory"
    more = {"eab_key_id": "kid-1", "eab_key": SECRET, "email": "ops@example.com"}
    answer = inside.post(URL, given(issuer="own", directory=own, challenge="tls", **more))
    assert answer.status_code == 302
    row = AcmeSettings.objects.get()
    assert (row.directory, row.challenge, row.eab_key) == (own, "tls", SECRET)
    assert row.apply_asked_at is not None
    page = inside.get(URL).content.decode()
    assert own in page and "kid-1" in page and SECRET not in page
    event = AuditEvent.objects.get(action="acme.change")
    assert event.after["directory"] == own and SECRET not in f"{event.before}{event.after}"


def test_a_key_that_is_not_typed_again_stays_and_one_without_its_id_goes(inside: Client) -> None:
    inside.post(URL, given(eab_key_id="kid-1", eab_key=SECRET))
    inside.post(URL, given(eab_key_id="kid-1", email="ops@example.com"))
    assert AcmeSettings.objects.get().eab_key == SECRET
    inside.post(URL, given())
    assert AcmeSettings.objects.get().eab_key == ""


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"issuer": "own", "directory": ""}, "an https:// address"),
        ({"issuer": "own", "directory": "http://ca.example.com/dir"}, "an https:// address"),
        ({"issuer": "own", "directory": "https://a:b@ca.example.com/"}, "neither a user"),
        ({"issuer": "own", "directory": "https://ca.example.com/\nx: y"}, "an https:// address"),
        ({"issuer": "https://ca.example.com"}, "Select a valid choice"),
        ({"email": "nobody"}, "valid email"),
        ({"eab_key_id": "kid"}, "The key belongs to its ID"),
        ({"eab_key": SECRET}, "The ID belongs to the key"),
        ({"eab_key_id": "kid", "eab_key": "not base64: $(id)"}, "base64url"),
        ({"lifetime_hours": "7"}, "Select a valid choice"),
    ],
)
def test_what_is_wrong_is_told_beside_its_field(
    inside: Client, fields: dict[str, str], says: str
) -> None:
    answer = inside.post(URL, given(**fields))
    assert answer.status_code == 200 and says in answer.content.decode()
    assert not AcmeSettings.objects.exists()


def test_names_without_a_certificate_are_listed_with_the_reason(inside: Client) -> None:
    CertificateOrder.objects.create(host="fine.example.org", state=State.ISSUED)
    CertificateOrder.objects.create(
        host="b.example.com", state=State.FAILED, kind="caa", next_at=timezone.now()
    )
    page = inside.get(URL).content.decode()
    assert "b.example.com" in page and "A CAA record of the domain forbids this issuer." in page
    assert "fine.example.org" not in page


def test_credentials_are_saved_encrypted_and_never_shown(inside: Client) -> None:
    answer = inside.post(f"{DNS}cloudflare/", {"cf_dns_api_token": SECRET, "zones": "Example.com"})
    assert answer.status_code == 302
    account = DnsAccount.objects.get()
    assert account.values == {"CF_DNS_API_TOKEN": SECRET} and account.zones == "example.com"
    stored = DnsAccount.objects.extra(select={"raw": "variables"}).values_list("raw")[0][0]
    assert SECRET not in stored
    for page in (URL, f"{DNS}cloudflare/"):
        assert SECRET not in inside.get(page).content.decode()
    event = AuditEvent.objects.get(action="dns_account.add")
    assert event.thing_name == "Cloudflare" and SECRET not in f"{event.before}{event.after}"


def test_a_secret_that_is_not_typed_again_stays_and_what_is_open_changes(inside: Client) -> None:
    inside.post(f"{DNS}godaddy/", {"godaddy_api_key": "k1", "godaddy_api_secret": SECRET})
    inside.post(f"{DNS}godaddy/", {"godaddy_api_key": "k2", "godaddy_api_secret": ""})
    values = DnsAccount.objects.get().values
    assert values == {"GODADDY_API_KEY": "k2", "GODADDY_API_SECRET": SECRET}


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({}, "This field is required"),
        ({"cf_dns_api_token": "a\nb"}, "one line"),
        ({"cf_dns_api_token": "x", "zones": "no spaces.example, -x"}, 'role="alert"'),
        ({"cf_dns_api_token": "x", "servers": "192.0.2.1"}, "an address and a port"),
        ({"cf_dns_api_token": "x", "wait_seconds": "99999"}, "less than or equal"),
    ],
)
def test_what_is_wrong_with_credentials_is_told(
    inside: Client, fields: dict[str, str], says: str
) -> None:
    answer = inside.post(f"{DNS}cloudflare/", fields)
    assert answer.status_code == 200 and says in answer.content.decode()
    assert not DnsAccount.objects.exists()


def test_a_provider_that_is_not_known_is_not_there(inside: Client) -> None:
    assert inside.get(f"{DNS}exec/").status_code == 404
    assert inside.get(DNS, {"provider": "exec"})["Location"] == URL
    assert inside.get(DNS, {"provider": "acme-dns"})["Location"] == f"{DNS}acme-dns/"


def test_credentials_are_removed_after_a_question(inside: Client) -> None:
    inside.post(f"{DNS}duckdns/", {"duckdns_token": SECRET})
    remove = f"{URL}dns/accounts/{DnsAccount.objects.get().pk}/remove/"
    assert "Remove the credentials for Duck DNS?" in inside.get(remove).content.decode()
    assert inside.post(remove).status_code == 302 and not DnsAccount.objects.exists()


def test_the_domains_page_says_why_there_is_none_and_asks_again(inside: Client, web: App) -> None:
    domain_add(app=web, host="shop.example.com", created_by=None)
    CertificateOrder.objects.update_or_create(
        host="shop.example.com",
        defaults={"state": State.FAILED, "kind": "dns", "detail": "NXDOMAIN", "failures": 1},
    )
    here = "/projects/shop/apps/web/domains/"
    page = inside.get(here).content.decode()
    assert "The issuer could not look up the name." in page and "NXDOMAIN" in page
    answer = inside.post(f"{here}certificate/", {"host": "shop.example.com"})
    assert answer.status_code == 302
    assert CertificateOrder.objects.get(host="shop.example.com").next_at is not None
    [event] = AuditEvent.objects.filter(action="certificate.retry")
    assert event.thing_name == "shop.example.com" and event.project_name == "shop"


def test_nobody_asks_for_a_name_of_another_app(inside: Client, web: App) -> None:
    CertificateOrder.objects.create(host="other.example.com", state=State.FAILED)
    there = "/projects/shop/apps/web/domains/certificate/"
    assert inside.post(there, {"host": "other.example.com"}).status_code == 302
    assert CertificateOrder.objects.get().next_at is None
