"""What the DNS says keeps a name's certificate from being asked for, until it says otherwise."""

from __future__ import annotations

import datetime as dt

import pytest
from django.utils import timezone

from apps.deployments.traffic import publish_routes
from apps.domains import checking, issuance
from apps.domains.acme_models import CertificateOrder, DnsAccount
from apps.domains.acme_services import acme_save, dns_account_remove, dns_account_save
from apps.domains.decisions import known_of
from apps.domains.hindrance import ANSWER
from apps.domains.models import NameCheck, ServedCertificate
from apps.domains.services import domain_add
from apps.engine.acme import LETS_ENCRYPT_STAGING
from apps.engine.acme_outcomes import Issued, Refusal
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from tests.deployments.test_deployment_run import deploy
from tests.domains.conftest import SERVER4, SERVER6
from tests.machine.dns_host import DnsHost

pytestmark = pytest.mark.django_db(transaction=True)
State = CertificateOrder.State
HOST, WILD = "shop.example.com", "*.shop.example.com"
OWN_ISSUER = "https://ca.example.com/dir"
NONE_SET = "Wildcards are proven with DNS credentials, and none are set for this one"
PRIVATE, ELSEWHERE = "127.0.0.1", "198.51.100.9"


@pytest.fixture
def live(web: App, fake: FakeEngine) -> App:
    issuance._looked.clear()
    fake.proxy.ensure_running()
    deploy(web)
    return web


def add(app: App, host: str = HOST) -> None:
    domain_add(app=app, host=host, created_by=None)
    publish_routes(app)


def credentials() -> DnsAccount:
    values = {"CF_DNS_API_TOKEN": "x"}
    return dns_account_save(provider="cloudflare", values=values, created_by=None)


def issue(fake: FakeEngine, host: str, *, by: str) -> None:
    now = timezone.now()
    fake.proxy.issued.append(Issued((host,), now, now + dt.timedelta(days=90), by))


def look(host: str = HOST) -> str:
    """Ask the DNS, and have the next round; how far the order is."""
    checking.check_name(host)
    issuance.step()
    return CertificateOrder.objects.get(host=host).state


def asked(fake: FakeEngine, app: App) -> set[str]:
    return issuance._asked_by(fake.proxy.read_routes(str(app.pk)) or {})


def says(app: App, host: str = HOST) -> str:
    domains = list(app.domains.all())
    state = known_of(app, domains).state(host, HttpsBy.AUTOMATIC)
    return f"{state.word}. {state.detail}"


@pytest.mark.parametrize(
    ("kind", "wrong"), [("A", ELSEWHERE), ("AAAA", "2001:db8::99"), ("A", PRIVATE), ("", "")]
)
def test_a_name_that_does_not_lead_here_is_asked_for_once_it_does(
    live: App, fake: FakeEngine, dns_host: DnsHost, kind: str, wrong: str
) -> None:
    if kind:
        dns_host.add(HOST, "A", SERVER4)
        dns_host.add(HOST, kind, wrong)
    add(live)
    assert look() == State.QUEUED and asked(fake, live) == set()
    assert says(live) == "In line for a certificate. Asked for when its DNS leads here"
    dns_host.add(HOST, "A", SERVER4)
    dns_host.add(HOST, "AAAA", SERVER6)
    assert look() == State.WAITING and asked(fake, live) == {HOST}


@pytest.mark.parametrize("directory", ["", LETS_ENCRYPT_STAGING])
def test_a_name_whose_caa_records_forbid_it_is_asked_for_once_they_allow_it(
    live: App, fake: FakeEngine, dns_host: DnsHost, directory: str
) -> None:
    if directory:
        acme_save(eab_key=None, changed_by=None, directory=directory)
    dns_host.add(HOST, "A", SERVER4)
    dns_host.add("example.com", "CAA", '0 issue "other.example"')
    add(live)
    assert look() == State.QUEUED and asked(fake, live) == set()
    assert says(live) == "In line for a certificate. Asked for when its CAA records let the issuer"
    dns_host.add("example.com", "CAA", '0 issue "letsencrypt.org"')
    assert look() == State.WAITING and asked(fake, live) == {HOST}


@pytest.mark.parametrize(
    "records",
    [
        [(HOST, "A", SERVER4), ("example.com", "CAA", '0 issue "ca.example.com"')],
        [(HOST, "A", PRIVATE)],
    ],
    ids=["records for another issuer", "a name of its own network"],
)
def test_an_issuer_of_ones_own_is_asked_all_the_same(
    live: App, fake: FakeEngine, dns_host: DnsHost, records: list[tuple[str, str, str]]
) -> None:
    acme_save(eab_key=None, changed_by=None, directory=OWN_ISSUER)
    for record in records:
        dns_host.add(*record)
    add(live)
    assert look() == State.WAITING and asked(fake, live) == {HOST}


def test_a_wildcard_of_a_private_network_is_proven_by_its_record(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    credentials()
    dns_host.add(WILD, "A", PRIVATE)
    add(live, WILD)
    assert look(WILD) == State.WAITING and asked(fake, live) == {WILD}


def test_a_wildcard_whose_credentials_are_removed_is_neither_issued_nor_waited_for(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    """Traefik forgets what it got with them."""
    account = credentials()
    for host in (HOST, WILD):
        dns_host.add(host, "A", SERVER4)
        add(live, host)
        assert look(host) == State.WAITING
    issue(fake, HOST, by="mist-http")
    issue(fake, WILD, by=f"mist-dns-{account.pk}")
    issuance.step()
    served = ServedCertificate.objects.create(
        host=WILD,
        kind=ServedCertificate.Kind.PUBLIC,
        not_after=CertificateOrder.objects.get(host=WILD).ends_at,
        next_look_at=timezone.now() + dt.timedelta(days=1),
    )
    assert says(live, WILD).endswith(". Renews itself")
    dns_account_remove(account=account)
    issuance.apply_settings()
    assert not CertificateOrder.objects.filter(host=WILD).exists()
    assert CertificateOrder.objects.get(host=HOST).state == State.ISSUED, "got in another way"
    assert asked(fake, live) == {HOST}
    assert says(live, WILD).endswith(f". Will not be renewed. {NONE_SET}")
    served.refresh_from_db()
    assert served.next_look_at <= timezone.now(), "what is served by now is seen at once"
    ServedCertificate.objects.update(kind=ServedCertificate.Kind.NONE, not_after=None)
    assert says(live, WILD) == f"No certificate. {NONE_SET}"


def test_a_wildcard_that_stood_in_line_is_in_nobodys_way_without_credentials(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    account = credentials()
    add(live, WILD)
    assert CertificateOrder.objects.get(host=WILD).state == State.QUEUED
    dns_account_remove(account=account)
    issuance.step()
    assert not CertificateOrder.objects.filter(host=WILD).exists()
    assert says(live, WILD) == f"No certificate. {NONE_SET}"
    credentials()
    publish_routes(live)
    assert says(live, WILD).startswith("In line for a certificate. ")


def test_where_the_dns_does_not_say_the_issuer_is_asked(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    dns_host.rcodes[HOST] = "SERVFAIL"
    add(live)
    assert look() == State.WAITING and asked(fake, live) == {HOST}


def test_a_new_name_waits_for_the_dns_but_not_for_long(live: App, fake: FakeEngine) -> None:
    add(live)
    issuance.step()
    assert asked(fake, live) == set()
    assert says(live) == "In line for a certificate. Asked for once its DNS has answered"
    NameCheck.objects.update(asked_at=timezone.now() - ANSWER)
    assert says(live) == "In line for a certificate. Asked for when its turn has come"
    issuance.step()
    assert asked(fake, live) == {HOST}


def test_a_refused_name_has_its_turn_as_soon_as_its_dns_leads_here(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    dns_host.rcodes[HOST] = "SERVFAIL"
    add(live)
    assert look() == State.WAITING
    dns_host.rcodes.clear()
    dns_host.add(HOST, "A", ELSEWHERE)
    checking.check_name(HOST)
    fake.proxy.refused.append(Refusal((HOST,), timezone.now(), "connection", "refused"))
    issuance.step()
    fake.proxy.refused.clear()
    order = CertificateOrder.objects.get(host=HOST)
    assert order.state == State.FAILED and order.led_here is False
    assert order.next_at is not None and order.next_at > timezone.now()
    # Nor is it asked for when its time has come while it leads elsewhere.
    CertificateOrder.objects.update(next_at=timezone.now() - dt.timedelta(seconds=1))
    assert look() == State.FAILED and asked(fake, live) == set()
    CertificateOrder.objects.update(next_at=timezone.now() + dt.timedelta(hours=1))
    dns_host.add(HOST, "A", SERVER4)
    assert look() == State.WAITING and asked(fake, live) == {HOST}


def test_a_name_that_is_hindered_is_in_nobodys_way(
    live: App, fake: FakeEngine, dns_host: DnsHost
) -> None:
    dns_host.add("right.example.com", "A", SERVER4)
    for n in range(5):
        dns_host.add(f"wrong{n}.example.com", "A", ELSEWHERE)
        add(live, f"wrong{n}.example.com")
        look(f"wrong{n}.example.com")
    add(live, "right.example.com")
    assert look("right.example.com") == State.WAITING
    assert asked(fake, live) == {"right.example.com"}
