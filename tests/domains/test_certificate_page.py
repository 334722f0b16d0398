"""The pages of certificates: bringing one, what is told beside which field, what is never shown."""

from __future__ import annotations

import datetime as dt

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments.selectors import live_deployment
from apps.domains import serving
from apps.domains.certificate_services import certificate_save, https_change
from apps.domains.models import Certificate, Domain, ServedCertificate
from apps.domains.services import domain_add
from apps.engine.certificates import KeyPair
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy, OwnHttpsBy
from apps.projects.models import App, Membership, ProjectRole
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import DAY, make_authority

HERE = "/projects/shop/certificates/"
DOMAINS = "/projects/shop/apps/web/domains/"
HOST = "shop.example.com"
CA = make_authority("Our root", organisation="Ours")


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def bring(web: App, *names: str, **changes: dt.timedelta) -> Certificate:
    pair = CA.chained(*names, **changes)
    return certificate_save(project=web.project, chain=pair.chain, key=pair.key, created_by=None)


def secret_of(pair: KeyPair) -> str:
    return pair.key.splitlines()[1]


def test_one_is_pasted_and_its_key_seen_by_nobody_again(inside: Client, web: App) -> None:
    pair = CA.chained(HOST, "*.shop.example.com")
    assert inside.post(HERE, {"chain": pair.chain, "key": pair.key}).status_code == 302
    certificate = Certificate.objects.get()
    assert certificate.key == pair.key and certificate.created_by is not None
    page = inside.get(HERE).content.decode()
    assert (
        "*.shop.example.com, shop.example.com" in page
        and "Ours" in page
        and "used by no name" in page
    )
    download = inside.get(f"{HERE}{certificate.pk}/chain.pem")
    assert download.content.decode() == pair.chain
    assert "attachment" in download["Content-Disposition"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT key FROM domains_certificate")
        stored = cursor.fetchone()[0]
    told = str(AuditEvent.objects.values_list())
    for text in (page, download.content.decode(), stored, told, repr(certificate.pair)):
        assert secret_of(pair) not in text


def test_one_is_brought_as_files(inside: Client, web: App) -> None:
    pair = CA.chained(HOST)
    files = {
        "chain_file": SimpleUploadedFile("chain.pem", pair.chain.encode()),
        "key_file": SimpleUploadedFile("key.pem", pair.key.encode()),
    }
    assert inside.post(HERE, files).status_code == 302
    assert Certificate.objects.get().names == [HOST]
    binary = {**files, "chain_file": SimpleUploadedFile("a.cer", b"\x30\x82\xff")}
    assert "not in PEM form" in inside.post(HERE, binary).content.decode()


def test_what_is_wrong_is_told_beside_its_field_and_the_key_is_not_sent_back(
    inside: Client, web: App
) -> None:
    expired, other = CA.chained(HOST, begins=-9 * DAY, ends=-DAY), CA.chained(HOST)
    page = inside.post(HERE, {"chain": expired.chain, "key": expired.key}).content.decode()
    assert 'id="id_chain_error"' in page and "This certificate ended on" in page
    assert 'id="id_key_error"' not in page
    assert expired.chain.splitlines()[1] in page and secret_of(expired) not in page
    page = inside.post(HERE, {"chain": other.chain, "key": expired.key}).content.decode()
    assert 'id="id_key_error"' in page and "belongs to another certificate" in page
    page = inside.post(HERE, {"chain": "", "key": ""}).content.decode()
    assert "Paste the certificate" in page
    page = inside.post(HERE, {"chain": other.chain, "key": " "}).content.decode()
    assert "Paste its private key" in page
    assert not Certificate.objects.exists()


def test_a_domains_own_page_takes_one_for_its_name_alone(
    inside: Client, web: App, fake: FakeEngine
) -> None:
    domain = domain_add(app=web, host=HOST, created_by=None)
    at = f"{DOMAINS}{domain.pk}/certificate/"
    wrong, right = CA.chained("other.example.com"), CA.chained("*.example.com")
    page = inside.post(at, vars(wrong)).content.decode()
    assert "is for other.example.com, not for shop.example.com" in page
    assert inside.post(at, vars(right)).status_code == 302
    domain.refresh_from_db()
    assert domain.https == HttpsBy.OWN
    serving.settle()
    page = inside.get(DOMAINS).content.decode()
    assert "HTTPS, Ours, ends" in page
    assert "used by shop.example.com" in inside.get(HERE).content.decode()


def test_https_is_chosen_name_by_name(inside: Client, web: App) -> None:
    inside.post(DOMAINS, {"host": HOST, "https": "off"})
    domain = Domain.objects.get()
    assert domain.https == HttpsBy.OFF and "Plain HTTP" in inside.get(DOMAINS).content.decode()
    inside.post(f"{DOMAINS}{domain.pk}/", {"https": "own"})
    page = inside.get(DOMAINS).content.decode()
    assert "None of this project is for this name" in page and f"{HERE}#add-h" in page
    assert inside.post(f"{DOMAINS}{domain.pk}/", {"https": "nonsense"}).status_code == 200


def test_how_an_apps_names_are_answered_is_set_in_one_place(inside: Client, web: App) -> None:
    wanted = {
        "own_https": "self",
        "https_redirect": "always",
        "tls_minimum": "1.3",
        "hsts_seconds": "86400",
    }
    assert inside.post(f"{DOMAINS}https/", wanted).status_code == 302
    web.refresh_from_db()
    assert (web.own_https, web.https_redirect) == ("self", "always")
    assert (web.tls_minimum, web.hsts_seconds, web.needs_apply) == ("1.3", 86_400, True)
    page = inside.post(f"{DOMAINS}https/", wanted | {"hsts_seconds": "5"}).content.decode()
    assert 'id="id_hsts_seconds_error"' in page


def test_the_root_is_there_for_who_is_logged_in(inside: Client, web: App, fake: FakeEngine) -> None:
    assert "mist-root.pem" not in inside.get(DOMAINS).content.decode()
    https_change(app=web, own_https=OwnHttpsBy.SELF)
    serving.settle()
    assert "mist-root.pem" in inside.get(DOMAINS).content.decode()
    root = inside.get("/certificates/mist-root.pem").content.decode()
    assert root.startswith("-----BEGIN CERTIFICATE") and "PRIVATE" not in root


def test_a_viewer_sees_them_and_is_offered_nothing(client: Client, web: App) -> None:
    bob = User.objects.create_user("bob@example.com", name="Bob")
    Membership.objects.create(project=web.project, user=bob, role=ProjectRole.VIEWER)
    certificate = bring(web, HOST)
    domain_add(app=web, host="b.example.com", https=HttpsBy.OWN, created_by=None)
    client.force_login(bob)
    page = client.get(HERE).content.decode()
    assert (
        HOST in page and "Add a certificate" not in page and f"{certificate.pk}/remove/" not in page
    )
    page = client.get(DOMAINS).content.decode()
    assert "No certificate" in page and "#add-h" not in page and "Save HTTPS" not in page
    assert client.post(HERE, vars(CA.chained("c.example.com"))).status_code == 403


def test_a_certificate_of_another_project_does_not_exist_here(inside: Client, web: App) -> None:
    certificate = bring(web, HOST)
    inside.post("/new-project/", {"slug": "rival"})
    for path in (f"{certificate.pk}/remove/", f"{certificate.pk}/chain.pem"):
        assert inside.get(f"/projects/rival/certificates/{path}").status_code == 404


def test_what_ends_is_told_on_the_dashboard_and_the_app(
    inside: Client, web: App, fake: FakeEngine
) -> None:
    deploy(web)
    assert live_deployment(web) is not None
    domain_add(app=web, host=HOST, https=HttpsBy.OWN, created_by=None)
    bring(web, HOST, ends=9 * DAY + DAY / 2)
    serving.settle()
    words = "The certificate of shop.example.com ends in 9 days"
    for path in ("/", "/projects/shop/apps/web/"):
        assert words in inside.get(path).content.decode(), path
    assert "Ends in 9 days" in inside.get(DOMAINS).content.decode()
    yesterday = timezone.now() - DAY
    ServedCertificate.objects.update(not_after=yesterday)
    for path in ("/", "/projects/shop/apps/web/"):
        assert "The certificate of shop.example.com ended on" in inside.get(path).content.decode()
    page = inside.get(DOMAINS).content.decode()
    assert f"Ended {yesterday.day} {yesterday:%b}" in page and "Upload its successor" in page


def test_what_ends_is_told_to_nobody_who_may_not_see_it(
    client: Client, web: App, fake: FakeEngine
) -> None:
    deploy(web)
    domain_add(app=web, host=HOST, https=HttpsBy.OWN, created_by=None)
    bring(web, HOST, ends=DAY)
    serving.settle()
    client.force_login(User.objects.create_user("charlie@example.com", name="Charlie"))
    assert HOST not in client.get("/").content.decode()


def test_pages_ask_as_often_for_many_certificates_as_for_few(inside: Client, web: App) -> None:
    def grow(begin: int, end: int) -> None:
        for n in range(begin, end):
            domain_add(app=web, host=f"h{n}.example.com", https=HttpsBy.OWN, created_by=None)
            bring(web, f"h{n}.example.com")
        serving.settle()

    def count(path: str) -> int:
        with CaptureQueriesContext(connection) as found:
            assert inside.get(path).status_code == 200
        return len(found)

    https_change(app=web, own_https=OwnHttpsBy.OWN)
    paths = (HERE, DOMAINS, "/", "/projects/shop/apps/web/")
    grow(0, 2)
    few = [count(path) for path in paths]
    grow(2, 12)
    assert [count(path) for path in paths] == few
    assert max(few) <= 8, few
