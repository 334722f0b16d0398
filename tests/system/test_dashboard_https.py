"""The dashboard's own name over HTTPS: nobody is sent there before a certificate is served, and
plain HTTP works whatever becomes of it."""

from __future__ import annotations

import datetime as dt
from typing import Any
from urllib.parse import urlsplit

import pytest
import time_machine
from cryptography import x509
from django.core import mail
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments.traffic import publish_routes
from apps.domains import issuance, serving
from apps.domains.acme_models import CertificateOrder
from apps.domains.acme_services import acme_save
from apps.domains.certificate_services import certificate_save
from apps.domains.models import NameCheck, ServedCertificate
from apps.domains.services import domain_add
from apps.domains.warning import notes_of_dashboard, warn_by_mail
from apps.engine.acme_outcomes import Issued, Refusal
from apps.engine.certificates import KeyPair, facts_of
from apps.engine.errors import CertificateRefused
from apps.engine.fake import FakeEngine
from apps.engine.handshake import Seen, Trust
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from apps.system import dashboard
from apps.system.dashboard_services import confirm_link, dashboard_name_drop, dashboard_name_save
from apps.system.names import chosen_names
from apps.system.planning import dashboard_url
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import DAY, make_authority

pytestmark = pytest.mark.django_db(transaction=True)
CA = make_authority("Our root", organisation="Ours")
URL = "/settings/addresses/"
NAME = "mist.example.net"
PLAIN, SECURE, TRIAL = "mist-dashboard", "mist-dashboard-tls", "mist-dashboard-trial-tls"
State = CertificateOrder.State


@pytest.fixture(autouse=True)
def _fresh(fake: FakeEngine) -> None:
    issuance._looked.clear()
    fake.proxy.ensure_running()


def save(by: User, host: str = NAME, https: HttpsBy = HttpsBy.AUTOMATIC) -> None:
    dashboard_name_save(host=host, https=https, by=by)
    # The DNS has answered: until then nobody is asked for a certificate.
    NameCheck.objects.filter(host=host).update(state="here", checked_at=timezone.now())
    dashboard.settle_dashboard()


@pytest.fixture
def named(client: Client, alice: User, fake: FakeEngine) -> None:
    """The name, confirmed a moment ago."""
    save(alice)
    path = urlsplit(confirm_link(alice)).path
    assert client.get(path, headers={"host": NAME}).status_code == 200
    dashboard.settle_dashboard()


def routers(fake: FakeEngine) -> Any:
    return fake.proxy.dashboard.get("http", {}).get("routers", {})


def seen(pair: KeyPair, trust: Trust = Trust.PUBLIC) -> Seen:
    return Seen(facts_of(x509.load_pem_x509_certificate(pair.chain.encode())), "TLSv1.3", trust)


def look() -> None:
    """One round of the schedule that has certificates served, and looks."""
    ServedCertificate.objects.update(next_look_at=timezone.now())
    serving.settle()


def issue(fake: FakeEngine, host: str = NAME, days: int = 90) -> None:
    now = timezone.now()
    fake.proxy.issued.append(Issued((host,), now, now + dt.timedelta(days=days), "mist-http"))
    fake.proxy.served[host] = seen(CA.chained(host, ends=dt.timedelta(days=days)))


def order() -> CertificateOrder:
    return CertificateOrder.objects.get(host=NAME)


def page(client: Client) -> str:
    return client.get(URL, headers={"HX-Request": "true"}).content.decode()


def test_people_are_sent_on_once_a_certificate_is_seen_and_no_longer_when_it_is_lost(
    named: None, fake: FakeEngine
) -> None:
    assert issuance.step() and order().state == State.WAITING
    tls = routers(fake)[SECURE]["tls"]
    assert tls == {"certResolver": "mist-http", "domains": [{"main": NAME}]}
    look()
    assert "middlewares" not in routers(fake)[PLAIN] and dashboard_url() == f"http://{NAME}"
    issue(fake)
    issuance.step()
    assert order().state == State.ISSUED
    # Traefik has it; nobody has seen that it is served.
    assert "middlewares" not in routers(fake)[PLAIN]
    serving.look_at_due()
    http: Any = fake.proxy.dashboard["http"]
    [to] = http["routers"][PLAIN]["middlewares"]
    assert http["middlewares"][to]["redirectScheme"] == {
        "scheme": "https", "port": "443", "permanent": False,
    }  # fmt: skip
    assert routers(fake)[SECURE]["entryPoints"] == ["websecure"]
    assert dashboard_url() == f"https://{NAME}"
    fake.proxy.served[NAME] = None
    look()
    assert "middlewares" not in routers(fake)[PLAIN] and dashboard_url() == f"http://{NAME}"


def test_hooks_are_answered_where_they_come_though_people_are_sent_on(
    named: None, fake: FakeEngine
) -> None:
    issue(fake)
    issuance.step()
    look()
    hooks = routers(fake)["mist-dashboard-hooks"]
    assert "PathPrefix(`/hooks/`)" in hooks["rule"] and "middlewares" not in hooks
    assert hooks["priority"] > routers(fake)[PLAIN]["priority"]


def test_a_certificate_that_ends_sends_nobody_on_though_nothing_else_changes(
    named: None, fake: FakeEngine
) -> None:
    issue(fake)
    issuance.step()
    look()
    assert chosen_names().is_sent_on
    with time_machine.travel(timezone.now() + 91 * DAY):
        dashboard.settle_dashboard()
        assert "middlewares" not in routers(fake)[PLAIN] and not chosen_names().is_sent_on


def test_a_refused_name_comes_off_at_once_waits_and_says_why(
    named: None, fake: FakeEngine, client: Client, alice: User
) -> None:
    issuance.step()
    fake.proxy.refused.append(Refusal((NAME,), at=timezone.now(), kind="dns", detail="NXDOMAIN"))
    issuance.step()
    assert (order().state, order().failures) == (State.FAILED, 1)
    assert order().next_at > timezone.now() + dt.timedelta(minutes=4)  # type: ignore[operator]
    assert SECURE not in routers(fake) and routers(fake)[PLAIN]["rule"] == f"Host(`{NAME}`)"
    client.force_login(alice)
    text = page(client)
    assert order().words.sentence in text and order().words.step in text and "NXDOMAIN" in text
    # Not at once: the issuer counts.
    client.post(f"{URL}certificate/", {"host": NAME})
    assert order().next_at > timezone.now()  # type: ignore[operator]
    with time_machine.travel(timezone.now() + dt.timedelta(minutes=2)):
        client.post(f"{URL}certificate/", {"host": NAME})
        issuance.step()
        assert order().state == State.WAITING and "tls" in routers(fake)[SECURE]
    assert AuditEvent.objects.filter(action="certificate.retry", thing_name=NAME).count() == 1


def test_one_that_does_not_lead_here_is_not_asked_for(
    named: None, fake: FakeEngine, client: Client, alice: User
) -> None:
    NameCheck.objects.update_or_create(host=NAME, defaults={"state": "elsewhere"})
    issuance.step()
    assert order().state == State.QUEUED and SECURE not in routers(fake)
    client.force_login(alice)
    assert "In line for a certificate" in page(client)


def test_without_an_issuer_nobody_is_asked(named: None, fake: FakeEngine) -> None:
    CertificateOrder.objects.all().delete()
    acme_save(eab_key=None, changed_by=None, is_on=False)
    dashboard.settle_dashboard()
    assert not CertificateOrder.objects.exists() and SECURE not in routers(fake)


def test_changing_the_issuer_writes_the_dashboards_route_as_well(
    named: None, fake: FakeEngine
) -> None:
    issuance.step()
    assert SECURE in routers(fake)
    acme_save(eab_key=None, changed_by=None, is_on=False)
    issuance.apply_settings()
    assert SECURE not in routers(fake)


def test_a_name_on_trial_can_be_confirmed_either_way_and_takes_nothing_from_the_other(
    named: None, fake: FakeEngine, alice: User, client: Client
) -> None:
    issue(fake)
    issuance.step()
    look()
    save(alice, "other.example.net")
    issuance.step()
    issue(fake, "other.example.net")
    look()
    assert chosen_names().is_sent_on and dashboard_url() == f"https://{NAME}"
    # A browser that knows the name by HTTPS only comes by HTTPS, all others by the plain link.
    assert routers(fake)[TRIAL]["rule"] == "Host(`other.example.net`)"
    assert "middlewares" not in routers(fake)["mist-dashboard-trial"]
    link = confirm_link(alice)
    assert link.startswith("http://other.example.net/")
    path, host = urlsplit(link).path, {"host": "other.example.net"}
    assert client.get(path, secure=True, headers=host).status_code == 200
    dashboard.settle_dashboard()
    assert dashboard_url() == "https://other.example.net"
    assert NAME not in str(fake.proxy.dashboard)


def test_a_wrong_entry_leaves_the_certificate_of_the_name_before(
    named: None, fake: FakeEngine, alice: User
) -> None:
    issue(fake)
    issuance.step()
    look()
    save(alice, "wrong.example.net", HttpsBy.OFF)
    with time_machine.travel(timezone.now() + dt.timedelta(seconds=61)):
        dashboard.settle_dashboard()
        look()
        assert chosen_names().https == HttpsBy.AUTOMATIC and chosen_names().is_sent_on
        assert dashboard_url() == f"https://{NAME}" and SECURE in routers(fake)
        assert not ServedCertificate.objects.filter(host="wrong.example.net").exists()


def test_a_self_signed_one_is_served_at_once_and_nobody_is_sent_to_it(
    named: None, fake: FakeEngine, alice: User, client: Client
) -> None:
    save(alice, NAME, HttpsBy.SELF)
    # The name is known already: there is nothing to confirm.
    assert chosen_names().https == HttpsBy.SELF and not chosen_names().has_trial
    serving.settle()
    assert ServedCertificate.objects.get(host=NAME).kind == ServedCertificate.Kind.LOCAL
    assert routers(fake)[SECURE]["tls"] == {} and "middlewares" not in routers(fake)[PLAIN]
    client.force_login(alice)
    assert "HTTPS, self-signed" in page(client) and "download the root" in page(client)
    event = AuditEvent.objects.get(action="dashboard_name.https")
    assert (event.thing_name, event.after) == (NAME, {"https": "self"})


def test_off_is_plain_http_only(named: None, fake: FakeEngine, alice: User, client: Client) -> None:
    save(alice, NAME, HttpsBy.OFF)
    look()
    assert list(routers(fake)) == [PLAIN] and not ServedCertificate.objects.exists()
    client.force_login(alice)
    assert "HTTPS is off" in page(client)


def test_a_name_that_is_taken_away_leaves_nothing(
    named: None, fake: FakeEngine, alice: User
) -> None:
    issue(fake)
    issuance.step()
    look()
    dashboard_name_drop(by=alice)
    dashboard.settle_dashboard()
    look()
    assert fake.proxy.dashboard == {} and not ServedCertificate.objects.exists()
    assert NAME not in dashboard_url() and chosen_names().sends_on == ""


def test_the_page_says_who_issued_it_and_until_when(
    named: None, fake: FakeEngine, client: Client, alice: User
) -> None:
    issue(fake)
    issuance.step()
    look()
    client.force_login(alice)
    assert "HTTPS, Ours, ends " in page(client) and "Renews itself" in page(client)


def test_its_end_is_told_on_pages_and_once_by_mail_to_owners(
    named: None, fake: FakeEngine, client: Client, alice: User, web: App, settings: Settings
) -> None:
    User.objects.create_user("bob@example.com", name="Bob")
    issue(fake, days=9)
    issuance.step()
    look()
    [note] = notes_of_dashboard()
    assert (note.app, note.host) == (None, NAME)
    client.force_login(alice)
    home = client.get("/", headers={"HX-Request": "true"}).content.decode()
    assert f"The certificate of {NAME} ends in 8 days" in home and URL in home
    assert "Ends in 8 days" in page(client)
    settings.EMAIL_URL = "smtp://mail.example.com"
    assert warn_by_mail() == 1 and warn_by_mail() == 0
    [message] = mail.outbox
    assert message.to == [alice.email] and f"https://{NAME}{URL}" in message.body
    assert "as an owner of this Mist" in message.body


def test_no_wildcard_of_an_app_takes_the_dashboards_name(
    named: None, fake: FakeEngine, web: App
) -> None:
    deploy(web)
    domain_add(app=web, host="*.example.net", path="/a/very/long/path/of/it", created_by=None)
    publish_routes(web)
    theirs = fake.proxy.read_routes(str(web.pk)) or {}
    highest = max(one["priority"] for one in theirs["http"]["routers"].values())
    assert routers(fake)[PLAIN]["priority"] > highest


def test_no_project_serves_a_certificate_for_the_dashboards_name(named: None, web: App) -> None:
    pair = CA.chained("shop.example.com", NAME)
    with pytest.raises(CertificateRefused):
        certificate_save(project=web.project, chain=pair.chain, key=pair.key, created_by=None)
