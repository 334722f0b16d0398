"""Which certificate visitors get where an issued one and another are for the same name."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils import timezone

from apps.domains import issuance
from apps.domains.models import (
    Certificate,
    CertificateOrder,
)
from apps.domains.services import domain_add, domain_change
from apps.engine.acme_outcomes import Issued
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy
from apps.projects.models import App
from tests.domains.serve import HOST, again, bring, file_of, row, settle
from tests.machine.issuer import DAY


def issued(fake: FakeEngine, *hosts: str) -> None:
    now = timezone.now()
    fake.proxy.issued.append(Issued(hosts, now, now + 60 * DAY, "mist-http"))


def test_a_name_that_has_an_uploaded_one_now_is_served_no_issued_one(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    domain_add(app=live, host="other.example.com", created_by=None)
    file_of(fake, live)
    issued(fake, HOST)
    issued(fake, "other.example.com")
    issuance.step()
    bring(live.project, "*.example.com")
    settle()
    assert len(fake.proxy.issued) == 2, "nobody has chosen the uploaded one yet"
    domain_change(domain=domain, https=HttpsBy.OWN)
    settle()
    assert [one.hosts for one in fake.proxy.issued] == [("other.example.com",)]
    assert fake.proxy.issuing is not None
    # Looked at once Traefik has started, and by nobody waited for.
    assert row().next_look_at > timezone.now()
    assert not CertificateOrder.objects.filter(host=HOST).exists()
    again()
    assert ("forget_certificates", HOST) in fake.proxy.calls
    assert len([step for step, _ in fake.proxy.calls if step == "forget_certificates"]) == 1


def test_a_name_that_mist_signs_for_now_is_served_no_issued_one(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    issued(fake, HOST)
    domain_change(domain=domain, https=HttpsBy.SELF)
    settle()
    assert fake.proxy.issued == []


@pytest.mark.parametrize("changes", [{"ends": -DAY / 2}, {"begins": DAY}])
def test_one_that_is_not_valid_takes_no_issued_ones_place(
    fake: FakeEngine, live: App, changes: dict[str, Any]
) -> None:
    domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    issued(fake, HOST)
    made = bring(live.project, HOST)
    now = timezone.now()
    begins, ends = changes.get("begins", -DAY), changes.get("ends", 60 * DAY)
    Certificate.objects.filter(pk=made.pk).update(not_before=now + begins, not_after=now + ends)
    settle()
    assert len(fake.proxy.issued) == 1


def test_an_issued_wildcard_stays_beside_an_uploaded_one_for_the_exact_name(
    fake: FakeEngine, live: App
) -> None:
    domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    issued(fake, "*.example.com")
    bring(live.project, HOST)
    settle()
    assert len(fake.proxy.issued) == 1


def test_whoever_loses_a_shared_one_stands_in_line_or_is_covered(
    fake: FakeEngine, live: App
) -> None:
    domain_add(app=live, host="a.example.com", created_by=None)
    file_of(fake, live)
    issued(fake, "*.example.com")
    issuance.step()
    domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    bring(live.project, "*.example.com")
    settle()
    assert fake.proxy.issued == []
    issuance.step()
    assert CertificateOrder.objects.get(host="a.example.com").state == "covered"
