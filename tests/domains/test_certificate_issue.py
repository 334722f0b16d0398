"""What becomes of names that are asked for, round after round."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from django.utils import timezone

from apps.deployments.traffic import publish_routes
from apps.domains import issuance, serving
from apps.domains.acme import troubled_orders
from apps.domains.acme_models import AcmeSettings, CertificateOrder, DnsAccount
from apps.domains.acme_services import acme_save, certificate_retry, dns_account_save
from apps.domains.certificate_services import certificate_remove, certificate_save
from apps.domains.models import Certificate, NameCheck
from apps.domains.services import domain_add, domain_change, domain_remove
from apps.engine.acme import LETS_ENCRYPT_STAGING
from apps.engine.acme_outcomes import Issued, Refusal
from apps.engine.errors import ProxyUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import make_authority

pytestmark = pytest.mark.django_db(transaction=True)
State = CertificateOrder.State
HOST = "shop.example.com"
CA = make_authority("Our root", organisation="Ours")


@pytest.fixture
def live(web: App, fake: FakeEngine) -> App:
    issuance._looked.clear()
    fake.proxy.ensure_running()
    deploy(web)
    domain_add(app=web, host=HOST, created_by=None)
    nobody_asks_the_dns()
    publish_routes(web)
    return web


def nobody_asks_the_dns() -> None:
    """What the DNS would say is not waited for."""
    NameCheck.objects.update(asked_at=None)


def order(host: str = HOST) -> CertificateOrder:
    return CertificateOrder.objects.get(host=host)


def asked(fake: FakeEngine, app: App) -> set[str]:
    """Names whose certificate Traefik would ask for by now."""
    return issuance._asked_by(fake.proxy.read_routes(str(app.pk)) or {})


def issue(fake: FakeEngine, *hosts: str, days: float = 90) -> None:
    now = timezone.now()
    fake.proxy.issued.append(Issued(hosts, now, now + dt.timedelta(days=days), "mist-http"))


def refuse(fake: FakeEngine, host: str = HOST, **fields: Any) -> None:
    given: dict[str, Any] = {"at": timezone.now(), "kind": "dns", "detail": "NXDOMAIN"}
    fake.proxy.refused.append(Refusal((host,), **given | fields))


def test_a_name_gets_its_turn_and_its_certificate(live: App, fake: FakeEngine) -> None:
    assert asked(fake, live) == set()
    assert issuance.step()
    assert order().state == State.WAITING and asked(fake, live) == {HOST}
    issue(fake, HOST)
    assert not issuance.step()
    ends = order().ends_at
    assert order().state == State.ISSUED and ends is not None and ends > timezone.now()
    assert asked(fake, live) == {HOST}


def test_a_refused_name_comes_off_its_route_at_once_and_keeps_plain_http(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    refuse(fake)
    issuance.step()
    assert (order().state, order().kind, order().failures) == (State.FAILED, "dns", 1)
    assert asked(fake, live) == set()
    file = fake.proxy.read_routes(str(live.pk)) or {}
    assert HOST in str(file["http"]["routers"][f"app-{live.pk}"]["rule"])
    issuance.step()
    assert order().failures == 1, "the same refusal counted twice"


def test_it_is_asked_for_again_when_its_time_has_come(live: App, fake: FakeEngine) -> None:
    issuance.step()
    refuse(fake)
    issuance.step()
    CertificateOrder.objects.update(next_at=timezone.now())
    fake.proxy.refused.clear()
    issuance.step()
    assert order().state == State.WAITING and asked(fake, live) == {HOST}
    issue(fake, HOST)
    issuance.step()
    assert (order().state, order().failures, order().kind) == (State.ISSUED, 0, "")


def test_a_name_that_no_route_wants_any_more_is_forgotten(live: App, fake: FakeEngine) -> None:
    CertificateOrder.objects.create(host="gone.example.com")
    issuance.step()
    assert not CertificateOrder.objects.filter(host="gone.example.com").exists()
    assert order().state == State.WAITING


def test_a_certificate_that_is_gone_from_traefik_is_waited_for_again(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    issue(fake, HOST)
    issuance.step()
    fake.proxy.issued.clear()
    issuance._looked.clear()
    issuance.step()
    assert order().state == State.WAITING and order().ends_at is None


def test_a_renewal_that_fails_is_told_and_one_that_works_ends_that(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    issue(fake, HOST, days=5)
    issuance.step()
    refuse(fake, kind="caa", is_renewal=True)
    issuance._looked.clear()
    issuance.step()
    assert (order().state, order().kind) == (State.ISSUED, "caa")
    assert asked(fake, live) == {HOST}
    issue(fake, HOST)
    issuance._looked.clear()
    issuance.step()
    assert order().kind == ""


def test_a_wildcard_that_is_there_is_one_for_names_below(live: App, fake: FakeEngine) -> None:
    issue(fake, "*.example.com")
    issuance.step()
    issuance.step()
    assert order().state == State.ISSUED


def test_nothing_is_taken_up_while_the_storage_is_being_written(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    issue(fake, HOST)
    issuance.step()
    fake.proxy.hides_certificates = True
    issuance._looked.clear()
    issuance.step()
    assert order().state == State.ISSUED


def test_another_issuer_is_told_to_traefik_and_begins_anew(live: App, fake: FakeEngine) -> None:
    issuance.step()
    refuse(fake)
    issuance.step()
    acme_save(eab_key=None, changed_by=None, directory=LETS_ENCRYPT_STAGING)
    assert order().state == State.QUEUED and order().failures == 0
    assert AcmeSettings.objects.get().apply_asked_at is not None
    issuance.apply_settings()
    assert fake.proxy.issuing is not None
    assert fake.proxy.issuing.directory == LETS_ENCRYPT_STAGING
    assert AcmeSettings.objects.get().apply_asked_at is None


def test_no_route_asks_once_it_is_off(live: App, fake: FakeEngine) -> None:
    issuance.step()
    acme_save(eab_key=None, changed_by=None, is_on=False)
    issuance.apply_settings()
    assert asked(fake, live) == set()


def test_why_traefik_could_not_be_told_is_kept(live: App, fake: FakeEngine) -> None:
    fake.proxy.fail("ensure_running", ProxyUnavailable("Traefik did not start.", hint="Look."))
    acme_save(eab_key=None, changed_by=None, email="ops@example.com")
    issuance.apply_settings()
    row = AcmeSettings.objects.get()
    assert row.apply_problem == "Traefik did not start. Look." and row.apply_asked_at is None


def test_a_change_whose_message_was_lost_is_taken_up(live: App, fake: FakeEngine) -> None:
    acme_save(eab_key=None, changed_by=None, email="ops@example.com")
    AcmeSettings.objects.update(apply_asked_at=timezone.now() - 2 * issuance.LOST)
    issuance.apply_if_forgotten()
    assert fake.proxy.issuing is not None and fake.proxy.issuing.email == "ops@example.com"


def test_the_base_domains_wildcard_has_a_router_of_its_own(
    live: App, fake: FakeEngine, settings: Any
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    made = dns_account_save(
        provider="cloudflare", values={"CF_DNS_API_TOKEN": "x"}, created_by=None, zones=""
    )
    issuance.step()
    issuance.step()
    [router] = fake.proxy.extras[issuance.BASE]["http"]["routers"].values()
    assert router["tls"] == {
        "certResolver": f"mist-dns-{made.pk}",
        "domains": [{"main": "*.apps.example.com"}],
    }
    DnsAccount.objects.all().delete()
    issuance.step()
    assert fake.proxy.extras[issuance.BASE] == {}


def test_a_person_has_it_asked_for_at_once_but_not_twice_a_minute(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    refuse(fake)
    issuance.step()
    assert not certificate_retry(order=order(), app=live)
    CertificateOrder.objects.update(failed_at=timezone.now() - dt.timedelta(minutes=2))
    assert certificate_retry(order=order(), app=live)
    fake.proxy.refused.clear()
    issuance.step()
    assert order().state == State.WAITING


def uploaded(app: App, *names: str) -> Certificate:
    pair = CA.chained(*names)
    return certificate_save(project=app.project, chain=pair.chain, key=pair.key, created_by=None)


def test_a_name_that_an_uploaded_certificate_covers_is_not_waited_for(
    live: App, fake: FakeEngine
) -> None:
    issuance.step()
    assert order().state == State.WAITING
    # For another name. Traefik says nothing then: it has one for both.
    other = domain_add(app=live, host="www.example.com", https=HttpsBy.OWN, created_by=None)
    mine = uploaded(live, "www.example.com", HOST)
    assert not issuance.step(), "it is waited for"
    assert order().state == State.COVERED
    assert order().detail == "the uploaded certificate shop.example.com and others"
    assert asked(fake, live) == set()
    assert troubled_orders(9) == ([], 0)
    # Traefik goes by its names alone.
    Certificate.objects.update(not_after=timezone.now())
    assert not issuance.step()
    assert order().detail == "the uploaded certificate shop.example.com and others (ended)"
    # And has its turn when that is gone.
    certificate_remove(certificate=mine)
    assert issuance.step()
    assert (order().state, order().detail) == (State.WAITING, "")
    assert asked(fake, live) == {HOST}
    # One that no name wants covers nothing: it is not given to Traefik.
    domain_remove(domain=other)
    uploaded(live, "www.example.com", HOST)
    issuance.step()
    assert order().state == State.WAITING


def test_a_name_that_a_self_signed_wildcard_covers_is_not_waited_for(
    live: App, fake: FakeEngine
) -> None:
    domain = domain_add(app=live, host="*.example.com", https=HttpsBy.SELF, created_by=None)
    serving.settle()
    issuance.step()
    assert order().state == State.COVERED
    assert order().detail == "the self-signed certificate *.example.com"
    domain_remove(domain=domain)
    serving.settle()
    issuance.step()
    assert order().state == State.WAITING


def test_a_name_that_was_refused_and_is_covered_now_says_so(live: App, fake: FakeEngine) -> None:
    issuance.step()
    refuse(fake)
    issuance.step()
    domain_add(app=live, host="www.example.com", https=HttpsBy.OWN, created_by=None)
    uploaded(live, "www.example.com", "*.example.com")
    issuance.step()
    assert (order().state, order().kind, order().next_at) == (State.COVERED, "", None)


@pytest.mark.parametrize("by", [HttpsBy.OWN, HttpsBy.SELF, HttpsBy.OFF])
def test_nobody_waits_for_a_name_whose_owner_chose_something_else(
    live: App, fake: FakeEngine, by: HttpsBy
) -> None:
    issuance.step()
    domain_change(domain=live.domains.get(), https=by)
    assert not CertificateOrder.objects.filter(host=HOST).exists()
    domain_change(domain=live.domains.get(), https=HttpsBy.AUTOMATIC)
    publish_routes(live)
    issuance.step()
    assert order().state == State.WAITING


def test_a_removed_name_is_in_nobodys_way(live: App, fake: FakeEngine) -> None:
    issuance.step()
    domain_remove(domain=live.domains.get())
    assert not issuance.step()
    assert not CertificateOrder.objects.exists()
