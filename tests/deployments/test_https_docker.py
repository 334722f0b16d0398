"""HTTPS through the real proxy: what is served, to whom, and what follows from it."""

from __future__ import annotations

import http.client
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.test import Client
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.domains import serving
from apps.domains.authority import local_root
from apps.domains.certificate_services import (
    certificate_remove,
    certificate_save,
    https_change,
)
from apps.domains.models import Certificate, ServedCertificate
from apps.domains.services import domain_add, domain_change
from apps.projects.https_models import Hsts, HttpsBy, OwnHttpsBy, TlsMinimum
from apps.projects.models import App
from tests.deployments.test_domain_docker import echo
from tests.machine.issuer import Issuer, make_authority
from tests.machine.secure import ask, steady_visitor, trusting
from tests.machine.world import World, sweep, wait_until

pytestmark = pytest.mark.docker
HOST = "shop.example.com"
CA = make_authority("Our root", organisation="Ours")


@pytest.fixture
def apps(world: World) -> Iterator[tuple[App, App]]:
    try:
        yield echo(world, "one"), echo(world, "two")
    finally:
        sweep(world.instance)


def settle() -> None:
    """What the schedule does, at once."""
    ServedCertificate.objects.update(next_look_at=timezone.now())
    if serving.settle():
        reconciliation.apply_wishes()


def bring(app: App, *names: str, by: Issuer = CA) -> Certificate:
    pair = by.chained(*names)
    return certificate_save(project=app.project, chain=pair.chain, key=pair.key, created_by=None)


def served(world: World, host: str, root: str = CA.pem) -> str:
    """The fingerprint that a client gets who trusts the root; empty when it refuses."""
    try:
        return ask(world.engine.config.https_port, host, trusting(root)).fingerprint
    except ssl.SSLError:
        return ""


def plain(world: World, host: str, path: str = "/") -> tuple[int, str]:
    """Status and where visitors by plain HTTP are sent."""
    connection = http.client.HTTPConnection("127.0.0.1", world.engine.config.http_port, timeout=10)
    try:
        connection.request("GET", path, headers={"Host": host})
        answer = connection.getresponse()
        return answer.status, answer.getheader("Location", "")
    finally:
        connection.close()


def page(client: Client, app: App) -> str:
    return client.get(f"/projects/{app.project.slug}/apps/{app.slug}/domains/").content.decode()


def files(world: World) -> list[Path]:
    return sorted((world.engine.config.data_dir / "traefik" / "certs").glob("*"))


def test_an_uploaded_one_is_served_for_its_name_and_no_other(
    world: World, apps: tuple[App, App], client: Client
) -> None:
    one, two = apps
    client.force_login(User.objects.get())
    port, root = world.engine.config.https_port, trusting(CA.pem)
    domain_add(app=one, host=HOST, https=HttpsBy.OWN, created_by=None)
    domain_add(app=two, host="other.example.com", https=HttpsBy.OWN, created_by=None)
    settle()
    assert "None of this project is for this name" in page(client, one)
    wait_until(lambda: plain(world, HOST) == (200, ""), "its route by plain HTTP")
    mine = bring(one, HOST)
    assert plain(world, HOST) == (200, "")
    settle()
    wait_until(lambda: served(world, HOST) == mine.fingerprint, "the uploaded certificate")
    settle()
    wait_until(lambda: ask(port, HOST, root).body == "one 8080 /", "its route")
    assert served(world, "other.example.com") == ""
    for path in files(world):
        assert path.stat().st_mode & 0o777 == 0o600
    there = f"https://{HOST}:{port}/a?b=c"
    wait_until(lambda: plain(world, HOST, "/a?b=c") == (302, there), "the redirect")
    assert plain(world, "other.example.com") == (200, "")
    assert "HTTPS, Ours, ends" in page(client, one)
    assert f'href="https://{HOST}' in page(client, one)
    assert "None of this project is for this name" in page(client, two)
    # Its key goes with it, and so does the redirect.
    certificate_remove(certificate=mine)
    settle()
    wait_until(lambda: served(world, HOST) == "", "the end of the certificate")
    assert files(world) == []
    settle()
    wait_until(lambda: plain(world, HOST) == (200, ""), "plain HTTP")
    assert "No certificate" in page(client, one)


def test_one_is_replaced_before_its_end_without_a_request_lost(
    world: World, apps: tuple[App, App]
) -> None:
    one, _ = apps
    domain_add(app=one, host=HOST, https=HttpsBy.OWN, created_by=None)
    fingerprints = [bring(one, HOST).fingerprint]
    settle()
    port, root = world.engine.config.https_port, trusting(CA.pem)
    wait_until(lambda: served(world, HOST) == fingerprints[0], "the first certificate")
    wait_until(lambda: ask(port, HOST, root).status == 200, "its route")
    with steady_visitor(port, HOST, trusting(CA.pem)) as visitor:
        for _ in range(5):
            fingerprints.append(bring(one, HOST).fingerprint)
            settle()
            wait_until(lambda: visitor.fingerprints[-1:] == fingerprints[-1:], "its successor")
    assert visitor.failures == []
    assert visitor.answers > 5 and visitor.fingerprints == fingerprints
    assert len(files(world)) == 2


def test_a_self_signed_one_is_good_for_who_trusts_the_root(
    world: World, apps: tuple[App, App], client: Client
) -> None:
    one, _ = apps
    client.force_login(User.objects.get())
    https_change(app=one, own_https=OwnHttpsBy.SELF)
    domain_add(app=one, host="*.shop.example.com", https=HttpsBy.SELF, created_by=None)
    settle()
    root = client.get("/certificates/mist-root.pem").content.decode()
    assert root == local_root() and "PRIVATE" not in root
    port = world.engine.config.https_port
    wait_until(lambda: served(world, one.host, root) != "", "the self-signed certificate")
    wait_until(lambda: ask(port, one.host, trusting(root)).body == "one 8080 /", "its route")
    assert served(world, "any.shop.example.com", root) not in ("", served(world, one.host, root))
    settle()
    assert "HTTPS, self-signed, ends" in page(client, one)
    kinds = set(ServedCertificate.objects.values_list("kind", flat=True))
    assert kinds == {"local"}
    # Nobody who does not know it is sent there.
    assert plain(world, one.host) == (200, "")
    assert served(world, one.host, CA.pem) == ""


def test_hsts_is_told_only_once_a_valid_one_is_served(
    world: World, apps: tuple[App, App], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    one, _ = apps
    port = world.engine.config.https_port
    anybody = ssl.create_default_context()
    anybody.check_hostname, anybody.verify_mode = False, ssl.CERT_NONE
    domain = domain_add(app=one, host=HOST, https=HttpsBy.SELF, created_by=None)
    https_change(app=one, hsts_seconds=Hsts.DAY)
    settle()
    wait_until(lambda: served(world, HOST, local_root()) != "", "the self-signed certificate")
    wait_until(lambda: ask(port, HOST, anybody).status == 200, "its route")
    assert "strict-transport-security" not in ask(port, HOST, anybody).headers
    wait_until(lambda: plain(world, HOST) == (200, ""), "its route by plain HTTP")
    # One that this machine's own list of authorities vouches for.
    bundle = tmp_path / "roots.pem"
    bundle.write_text(CA.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    mine = bring(one, HOST)
    domain_change(domain=domain, https=HttpsBy.OWN)
    settle()
    wait_until(lambda: served(world, HOST) == mine.fingerprint, "the certificate")
    settle()
    assert ServedCertificate.objects.get(host=HOST).kind == "public"

    def told() -> str:
        return ask(port, HOST, trusting(CA.pem)).headers.get("strict-transport-security", "")

    wait_until(lambda: told() == "max-age=86400", "HSTS")
    assert plain(world, HOST) == (301, f"https://{HOST}:{port}/")


def test_a_name_that_wants_tls_1_3_refuses_1_2(world: World, apps: tuple[App, App]) -> None:
    one, two = apps
    port = world.engine.config.https_port
    for app, host in ((one, HOST), (two, "other.example.com")):
        domain_add(app=app, host=host, https=HttpsBy.SELF, created_by=None)
    https_change(app=one, tls_minimum=TlsMinimum.TLS13)
    settle()
    root = local_root()
    wait_until(lambda: served(world, HOST, root) != "", "the self-signed certificate")
    old = trusting(root)
    old.maximum_version = ssl.TLSVersion.TLSv1_2

    def refuses() -> bool:
        try:
            ask(port, HOST, old)
        except (ssl.SSLError, ConnectionError):
            return True
        return False

    wait_until(refuses, "the refusal of TLS 1.2")
    wait_until(lambda: ask(port, HOST, trusting(root)).status == 200, "its route")
    assert ask(port, HOST, trusting(root)).protocol == "TLSv1.3"
    assert ask(port, "other.example.com", old).protocol == "TLSv1.2"
