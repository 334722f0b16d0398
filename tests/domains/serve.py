"""What tests of served certificates do, and look at."""

from __future__ import annotations

from typing import Any

from cryptography import x509
from django.utils import timezone

from apps.deployments import reconciliation
from apps.domains import issuance, serving
from apps.domains.certificate_services import (
    certificate_save,
)
from apps.domains.models import (
    Certificate,
    NameCheck,
    ServedCertificate,
)
from apps.engine.certificates import KeyPair, facts_of
from apps.engine.fake import FakeEngine
from apps.engine.handshake import Seen, Trust
from apps.projects.models import App, Project
from tests.machine.issuer import make_authority

CA = make_authority("Our root", organisation="Ours")


HOST = "shop.example.com"


def settle() -> None:
    """One round of the schedule, and what follows."""
    if serving.settle():
        reconciliation.apply_wishes()


def again() -> None:
    ServedCertificate.objects.update(next_look_at=timezone.now())
    settle()


def bring(project: Project, *names: str, **changes: Any) -> Certificate:
    pair = CA.chained(*names, **changes)
    return certificate_save(project=project, chain=pair.chain, key=pair.key, created_by=None)


def seen(pair: KeyPair, trust: Trust = Trust.PUBLIC) -> Seen:
    return Seen(facts_of(x509.load_pem_x509_certificate(pair.chain.encode())), "TLSv1.3", trust)


def file_of(fake: FakeEngine, app: App) -> Any:
    """With the names that stood in line asked for."""
    reconciliation.apply_wishes()
    # What the DNS would say is not waited for.
    NameCheck.objects.update(asked_at=None)
    issuance.step()
    return fake.proxy.read_routes(str(app.pk))


def row(host: str = HOST) -> ServedCertificate:
    return ServedCertificate.objects.get(host=host)
