"""Certificates of a real issuer, for names of apps behind the real proxy."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_django import Settings

from apps.deployments import reconciliation
from apps.domains import issuance, serving
from apps.domains.acme_models import AcmeSettings, CertificateOrder
from apps.domains.acme_services import acme_save, certificate_retry, dns_account_save
from apps.domains.dashboard import publish_dashboard
from apps.domains.models import NameCheck
from apps.domains.services import domain_add
from apps.engine.connect import get_engine
from apps.projects.models import App
from apps.system.names import keep_names
from tests.machine.pebble import (
    EAB_KEY,
    EAB_KEY_ID,
    Issuer,
    Shown,
    certificate_at,
    serve_dns_requests,
    serve_issuer,
)
from tests.machine.world import World, steady_visitors, wait_until

pytestmark = pytest.mark.docker
State = CertificateOrder.State


@dataclasses.dataclass
class Certified:
    """A world whose names are certified by that issuer."""

    world: World
    issuer: Issuer
    app: App

    def shown(self, host: str) -> Shown | None:
        port = self.world.engine.config.https_port
        return certificate_at(port, host, root=self.issuer.root())

    def add(self, host: str) -> None:
        domain_add(app=self.app, host=host, created_by=None)
        # Nobody asks the DNS here, so it is not waited for.
        NameCheck.objects.update(asked_at=None)
        reconciliation.apply_wishes()

    def order(self, host: str) -> CertificateOrder:
        return CertificateOrder.objects.get(host=host)

    def until(self, ready: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """As the schedule would: round after round."""
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, f"{what} never happened"
            issuance.step()
            time.sleep(0.2)

    def until_issued(self, host: str) -> Shown:
        self.until(lambda: self.shown(host.replace("*", "any")) is not None, f"{host} by HTTPS")
        self.until(lambda: self.order(host).state == State.ISSUED, f"{host} issued")
        found = self.shown(host.replace("*", "any"))
        assert found is not None
        return found


@contextmanager
def certified(
    world: World, folder: Path, settings: Settings, *, lifetime_seconds: int = 90 * 86400,
    bound: bool = False,
) -> Iterator[Certified]:  # fmt: skip
    config = world.engine.config
    with serve_issuer(
        folder / "issuer",
        http_port=config.http_port,
        https_port=config.https_port,
        lifetime_seconds=lifetime_seconds,
        bound=bound,
    ) as issuer:
        settings.MIST_ENGINE_CONFIG = dataclasses.replace(config, acme_ca_file=str(issuer.ca_file))
        get_engine.cache_clear()
        world.engine = get_engine()
        app, _ = world.app("static")
        world.deploy(app)
        yield Certified(world, issuer, app)


def turn_on(found: Certified, **fields: object) -> None:
    acme_save(eab_key=None, changed_by=None, directory=found.issuer.directory, is_on=True, **fields)
    apply(found)


def apply(found: Certified) -> None:
    """Traefik is told, and has taken up the routes again after its start."""
    issuance.apply_settings()
    wait_until(lambda: found.world.get(found.app.host)[0] == 200, "the app")


@pytest.fixture
def here(world: World, tmp_path: Path, settings: Settings) -> Iterator[Certified]:
    with certified(world, tmp_path, settings) as found:
        turn_on(found)
        yield found


def test_a_name_added_to_a_live_app_has_a_certificate_within_seconds(here: Certified) -> None:
    began = time.monotonic()
    with steady_visitors(here.world, here.app.host, kept=1, fresh=1) as visitors:
        here.add("shop.example.com")
        assert here.until_issued("shop.example.com").names == ("shop.example.com",)
        took = time.monotonic() - began
    assert here.world.get("shop.example.com")[0] == 200
    assert visitors.failures == [] and visitors.answers
    assert took < 60, took
    assert here.issuer.orders() == 1


def test_visitors_are_sent_on_once_the_certificate_is_served(here: Certified) -> None:
    with here.issuer.ca_file.open("ab") as known:
        known.write(here.issuer.root())
    here.add("shop.example.com")
    serving.settle()
    reconciliation.apply_wishes()
    wait_until(lambda: here.world.get("shop.example.com")[0] == 200, "plain HTTP")
    here.until_issued("shop.example.com")
    serving.look_at_due()
    reconciliation.apply_wishes()
    wait_until(lambda: here.world.get("shop.example.com")[0] in (301, 302), "the redirect")
    domain = here.app.domains.get()
    assert domain.sends_on and domain.url.startswith("https://")
    assert here.world.get(here.app.host)[0] == 200


def test_names_are_proven_by_tls_where_that_is_chosen(here: Certified) -> None:
    turn_on(here, challenge=AcmeSettings.Challenge.TLS)
    here.add("shop.example.com")
    here.until_issued("shop.example.com")
    assert here.order("shop.example.com").failures == 0
    held = here.world.engine.proxy.issued_certificates(here.issuer.directory)
    assert held is not None and [one.resolver for one in held] == ["mist-tls"]


def test_a_name_that_leads_elsewhere_says_why_and_answers_by_http(here: Certified) -> None:
    here.issuer.set_address("wrong.example.com", "127.0.0.99")
    here.add("wrong.example.com")
    here.until(lambda: here.order("wrong.example.com").state == State.FAILED, "the refusal")
    order = here.order("wrong.example.com")
    assert order.kind == "connection" and "refused" in order.detail
    assert order.next_at is not None
    assert here.world.get("wrong.example.com")[0] == 200
    before = here.issuer.orders()
    # Others get theirs, which makes Traefik look at all routes again.
    for n in range(4):
        here.add(f"right{n}.example.com")
    for n in range(4):
        here.until_issued(f"right{n}.example.com")
    assert here.issuer.orders() == before + 4, "the wrong one was asked for again"
    here.issuer.set_address("wrong.example.com", "127.0.0.1")
    CertificateOrder.objects.update(failed_at="2026-01-01T00:00:00Z")
    assert certificate_retry(order=here.order("wrong.example.com"), app=here.app)
    here.until_issued("wrong.example.com")


def test_the_dashboards_name_gets_its_certificate_as_names_of_apps_do(here: Certified) -> None:
    keep_names(dashboard="mist.example.com")
    here.issuer.set_address("mist.example.com", "127.0.0.99")
    publish_dashboard()
    here.until(lambda: here.order("mist.example.com").state == State.FAILED, "the refusal")
    before = here.issuer.orders()
    # Others get theirs, which makes Traefik look at all routes again.
    here.add("right.example.com")
    here.until_issued("right.example.com")
    assert here.issuer.orders() == before + 1, "the refused one was asked for again"
    # Its route is there, over plain HTTP; only that no Mist listens in this test.
    assert here.world.get("mist.example.com")[0] == 502
    here.issuer.set_address("mist.example.com", "127.0.0.1")
    CertificateOrder.objects.update(failed_at="2026-01-01T00:00:00Z")
    assert certificate_retry(order=here.order("mist.example.com"), app=None)
    assert here.until_issued("mist.example.com").names == ("mist.example.com",)


def test_a_wildcard_is_proven_by_dns(here: Certified) -> None:
    with serve_dns_requests(here.issuer) as address:
        dns_account_save(
            provider="httpreq",
            values={"HTTPREQ_ENDPOINT": address, "HTTPREQ_PASSWORD": "open-sesame-word"},
            created_by=None,
            servers=here.issuer.dns_server,
            looks=False,
        )
        apply(here)
        here.add("*.example.com")
        assert here.until_issued("*.example.com").names == ("*.example.com",)
    home = here.world.engine.config.data_dir / "traefik"
    kept = [path for path in home.rglob("*") if path.is_file()]
    assert not [path for path in kept if b"open-sesame-word" in path.read_bytes()]


def test_all_own_names_share_the_wildcard_of_the_base_domain(
    here: Certified, settings: Settings
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    with serve_dns_requests(here.issuer) as address:
        dns_account_save(
            provider="httpreq",
            values={"HTTPREQ_ENDPOINT": address},
            created_by=None,
            servers=here.issuer.dns_server,
            looks=False,
        )
        apply(here)
        here.until_issued("*.apps.example.com")
    assert here.shown("static-shop.apps.example.com") is not None
    assert here.issuer.orders() == 1


def test_an_issuer_that_binds_accounts_gets_the_key(
    world: World, tmp_path: Path, settings: Settings
) -> None:
    with certified(world, tmp_path, settings, bound=True) as found:
        turn_on(found)
        found.add("shop.example.com")
        found.until(lambda: found.order("shop.example.com").state == State.FAILED, "the refusal")
        assert found.order("shop.example.com").kind == "externalAccountRequired"
        acme_save(eab_key=EAB_KEY, eab_key_id=EAB_KEY_ID, changed_by=None)
        apply(found)
        found.until_issued("shop.example.com")


def test_a_short_lived_certificate_is_renewed_before_its_end(
    world: World, tmp_path: Path, settings: Settings
) -> None:
    with certified(world, tmp_path, settings, lifetime_seconds=300) as found:
        turn_on(found, lifetime_hours=1)
        found.add("shop.example.com")
        first = found.until_issued("shop.example.com")

        def renewed() -> bool:
            now = found.shown("shop.example.com")
            return now is not None and now.serial != first.serial

        with steady_visitors(found.world, "shop.example.com", kept=1, fresh=1) as visitors:
            found.until(renewed, "the renewal", seconds=200)
        second = found.shown("shop.example.com")
        assert second is not None and second.ends > first.ends
        assert visitors.failures == []
