"""Certificates that people bring beside those of an issuer, behind the real proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from apps.deployments import reconciliation
from apps.domains import issuance, serving
from apps.domains.certificate_services import certificate_remove, certificate_save
from apps.domains.decisions import known_of
from apps.domains.models import Certificate, CertificateOrder, ServedCertificate
from apps.domains.services import domain_add, domain_change
from apps.projects.https_models import HttpsBy
from tests.deployments.test_certificate_docker import Certified, certified, turn_on
from tests.machine.issuer import make_authority
from tests.machine.secure import ask, trusting
from tests.machine.world import World, wait_until

pytestmark = pytest.mark.docker
State = CertificateOrder.State
HOST, WWW = "shop.example.com", "www.example.com"
CA = make_authority("Our root", organisation="Ours")


@pytest.fixture
def here(world: World, tmp_path: Path, settings: Settings) -> Iterator[Certified]:
    with certified(world, tmp_path, settings) as found:
        turn_on(found)
        yield found


def settle() -> None:
    """What the schedule does, at once."""
    ServedCertificate.objects.update(next_look_at=timezone.now())
    if serving.settle():
        reconciliation.apply_wishes()


def bring(here: Certified, *names: str) -> Certificate:
    pair, project = CA.chained(*names), here.app.project
    return certificate_save(project=project, chain=pair.chain, key=pair.key, created_by=None)


def is_ours(here: Certified, host: str, mine: Certificate) -> bool:
    """Whether visitors get that certificate."""
    try:
        found = ask(here.world.engine.config.https_port, host, trusting(CA.pem))
    except OSError:
        return False
    return found.fingerprint == mine.fingerprint


def says(here: Certified, host: str) -> str:
    """What the page says of the name."""
    ServedCertificate.objects.update(next_look_at=timezone.now())
    serving.look_at_due()
    domain = here.app.domains.get(host=host)
    state = known_of(here.app, [domain]).state(host, HttpsBy(domain.https))
    return f"{state.word}: {state.detail}"


@pytest.mark.parametrize("names", [(HOST,), ("*.example.com", "example.com")])
def test_the_uploaded_one_is_served_though_traefik_has_another(
    here: Certified, names: tuple[str, ...]
) -> None:
    here.add(HOST)
    here.until_issued(HOST)
    mine = bring(here, *names)
    domain_change(domain=here.app.domains.get(host=HOST), https=HttpsBy.OWN)
    reconciliation.apply_wishes()
    settle()
    wait_until(lambda: is_ours(here, HOST, mine), "the uploaded certificate")
    # Traefik chooses anew whenever anything changes.
    for n in range(12):
        domain_add(app=here.app, host=f"n{n}.example.org", https=HttpsBy.OFF, created_by=None)
        reconciliation.apply_wishes()
        time.sleep(0.4)
        assert is_ours(here, HOST, mine), n
    assert says(here, HOST).endswith(": Uploaded")
    # And back, by an order of its own.
    before = here.issuer.orders()
    domain_change(domain=here.app.domains.get(host=HOST), https=HttpsBy.AUTOMATIC)
    certificate_remove(certificate=mine)
    reconciliation.apply_wishes()
    settle()
    here.until_issued(HOST)
    assert here.issuer.orders() == before + 1


def test_a_name_that_an_uploaded_one_covers_is_ordered_when_that_is_gone(here: Certified) -> None:
    mine = bring(here, WWW, HOST)
    domain_add(app=here.app, host=WWW, https=HttpsBy.OWN, created_by=None)
    settle()
    wait_until(lambda: is_ours(here, HOST, mine), "the uploaded certificate")
    here.add(HOST)
    here.until(lambda: here.order(HOST).state == State.COVERED, "the word that it is covered")
    settle()
    wait_until(lambda: ask_ours(here), "its route by HTTPS")
    assert says(here, HOST).startswith("HTTPS, Ours, ends ")
    assert says(here, HOST).endswith(
        ": Served by the uploaded certificate shop.example.com and others: none is ordered"
    )
    assert here.issuer.orders() == 0
    certificate_remove(certificate=mine)
    reconciliation.apply_wishes()
    settle()
    assert here.until_issued(HOST).names == (HOST,)
    assert here.issuer.orders() == 1


def test_an_order_that_is_under_way_ends_when_a_certificate_is_brought(here: Certified) -> None:
    here.issuer.fail_name(HOST)
    here.add(HOST)
    issuance.step()
    assert here.order(HOST).state == State.WAITING
    domain_add(app=here.app, host=WWW, https=HttpsBy.OWN, created_by=None)
    bring(here, "*.example.com")
    settle()
    here.until(lambda: here.order(HOST).state == State.COVERED, "the word that it is covered")


def ask_ours(here: Certified) -> bool:
    port = here.world.engine.config.https_port
    return ask(port, HOST, trusting(CA.pem)).status == 200
