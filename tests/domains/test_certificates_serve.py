"""What is written for the proxy, what is seen there, and what follows from it."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
import time_machine
from cryptography import x509
from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments import reconciliation
from apps.domains import issuance, serving
from apps.domains.certificate_services import (
    certificate_remove,
    certificate_save,
    https_change,
    served_check,
)
from apps.domains.models import (
    Certificate,
    CertificateOrder,
    Domain,
    LocalAuthority,
    LocalCertificate,
    NameCheck,
    ServedCertificate,
)
from apps.domains.services import domain_add, domain_change, domain_move, domain_remove
from apps.domains.warning import warn_by_mail
from apps.engine.acme_outcomes import Issued
from apps.engine.certificates import KeyPair, facts_of
from apps.engine.errors import CertificateRefused, ProxyUnavailable
from apps.engine.fake import FakeEngine
from apps.engine.handshake import Seen, Trust
from apps.projects.https_models import Hsts, HttpsBy, OwnHttpsBy, Redirect, TlsMinimum
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import app_create, project_create
from tests.deployments.test_deployment_run import deploy
from tests.machine.issuer import DAY, make_authority

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


@pytest.fixture
def live(fake: FakeEngine, web: App) -> App:
    deploy(web)
    return web


@pytest.fixture
def foreign() -> App:
    return app_create(
        project=project_create(slug="rival", created_by=None),
        slug="web",
        repository="https://e.example/r",
        created_by=None,
    )


def test_an_uploaded_one_is_served_and_then_visitors_are_sent_on(
    fake: FakeEngine, live: App
) -> None:
    bring(live.project, HOST)
    domain = domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    http = file_of(fake, live)["http"]
    name = f"app-{live.pk}-d{domain.pk}"
    assert http["routers"][f"{name}-tls"]["tls"] == {} and "middlewares" not in http
    settle()
    assert len(fake.proxy.certificates) == 1
    assert (row().kind, row().issuer) == (ServedCertificate.Kind.GIVEN, "Ours")
    http = file_of(fake, live)["http"]
    assert http["routers"][name]["middlewares"] == [f"{name}-https"]
    domain.refresh_from_db()
    assert domain.url == f"https://{HOST}"


def test_an_automatic_one_never_takes_plain_http_away_before_it_is_there(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    settle()
    name = f"app-{live.pk}-d{domain.pk}"
    http = file_of(fake, live)["http"]
    assert http["routers"][f"{name}-tls"]["tls"]["certResolver"]
    assert "middlewares" not in http["routers"][name]
    assert row().waits_since is not None and row().kind == "none"
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    again()
    assert file_of(fake, live)["http"]["routers"][name]["middlewares"] == [f"{name}-https"]
    # Gone again: whoever is not bound reaches the app.
    fake.proxy.served[HOST] = None
    again()
    assert "middlewares" not in file_of(fake, live)["http"]["routers"][name]
    domain.refresh_from_db()
    assert domain.url == f"http://{HOST}"


def test_what_has_ended_sends_nobody_on_though_nothing_else_has_changed(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    fake.proxy.served[HOST] = seen(CA.chained(HOST, ends=2 * DAY))
    settle()
    domain.refresh_from_db()
    assert domain.sends_on
    with time_machine.travel(timezone.now() + 3 * DAY):
        settle()
        domain.refresh_from_db()
        assert not domain.sends_on and row().waits_since is not None


def test_hsts_comes_with_the_redirect_and_both_with_their_settings(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    https_change(app=live, hsts_seconds=Hsts.DAY, tls_minimum=TlsMinimum.TLS13)
    name = f"app-{live.pk}-d{domain.pk}"
    settle()
    http = file_of(fake, live)["http"]
    assert "middlewares" not in http and http["routers"][f"{name}-tls"]["tls"]["options"]
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    again()
    http = file_of(fake, live)["http"]
    assert http["middlewares"][f"{name}-hsts"] == {"headers": {"stsSeconds": 86_400}}
    assert http["middlewares"][f"{name}-https"]["redirectScheme"]["permanent"]
    https_change(app=live, hsts_seconds=Hsts.OFF)
    redirect = file_of(fake, live)["http"]["middlewares"][f"{name}-https"]["redirectScheme"]
    # A browser that keeps it for good could not come back to plain HTTP.
    assert not redirect["permanent"]
    https_change(app=live, https_redirect=Redirect.OFF)
    assert "middlewares" not in file_of(fake, live)["http"]


def test_names_redirect_to_the_primary_one_by_https_where_that_has_it(
    fake: FakeEngine, live: App
) -> None:
    domain_add(app=live, host=HOST, is_primary=True, created_by=None)
    www = domain_add(
        app=live, host=f"www.{HOST}", redirects=True, https=HttpsBy.OFF, created_by=None
    )
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    settle()
    middleware = file_of(fake, live)["http"]["middlewares"][f"app-{live.pk}-d{www.pk}-redirect"]
    assert middleware["redirectRegex"]["replacement"] == f"https://{HOST}${{1}}"


def test_a_self_signed_name_is_served_and_plain_http_stays(fake: FakeEngine, live: App) -> None:
    https_change(app=live, own_https=OwnHttpsBy.SELF)
    settle()
    assert row(live.host).kind == "local"
    http = file_of(fake, live)["http"]
    assert f"app-{live.pk}-tls" in http["routers"] and "middlewares" not in http
    https_change(app=live, https_redirect=Redirect.ALWAYS)
    assert "middlewares" in file_of(fake, live)["http"]
    live.refresh_from_db()
    assert live.url == f"https://{live.host}"


def test_a_self_signed_one_is_renewed_before_its_end_and_forgotten_when_unused(
    fake: FakeEngine, live: App
) -> None:
    https_change(app=live, own_https=OwnHttpsBy.SELF)
    settle()
    first = LocalCertificate.objects.get()
    assert first.not_after - timezone.now() < dt.timedelta(days=397)
    settle()
    assert LocalCertificate.objects.get().chain == first.chain
    with time_machine.travel(first.not_after - 20 * DAY):
        settle()
        assert LocalCertificate.objects.get().chain != first.chain
        assert len(fake.proxy.certificates) == 1
    assert LocalAuthority.objects.count() == 1
    https_change(app=live, own_https=OwnHttpsBy.OFF)
    settle()
    assert not LocalCertificate.objects.exists() and not fake.proxy.certificates


def test_names_of_apps_on_localhost_are_plain_until_somebody_asks(
    fake: FakeEngine, live: App
) -> None:
    settle()
    assert not ServedCertificate.objects.exists() and not fake.proxy.certificates


def test_names_of_apps_below_a_public_base_domain_have_automatic_ones(
    fake: FakeEngine, live: App, settings: Settings
) -> None:
    settings.MIST_BASE_DOMAIN = "apps.mist.dev"
    https_change(app=live)
    assert file_of(fake, live)["http"]["routers"][f"app-{live.pk}-tls"]["tls"]["certResolver"]
    fake.proxy.served[live.host] = seen(CA.chained(live.host))
    settle()
    live.refresh_from_db()
    assert live.url == f"https://{live.host}"


def test_a_successor_takes_the_place_of_one_for_the_same_names(fake: FakeEngine, live: App) -> None:
    domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    first = bring(live.project, HOST, "b.example.com", ends=20 * DAY)
    settle()
    assert row().fingerprint == first.fingerprint
    second = bring(live.project, "b.example.com", HOST)
    assert first.pk == second.pk and Certificate.objects.count() == 1
    settle()
    assert row().fingerprint == second.fingerprint != first.fingerprint
    assert len(fake.proxy.certificates) == 1


def test_only_what_a_name_asks_for_is_served(fake: FakeEngine, live: App) -> None:
    bring(live.project, HOST)
    settle()
    assert not fake.proxy.certificates
    domain = domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    settle()
    assert len(fake.proxy.certificates) == 1
    domain_remove(domain=domain)
    settle()
    assert not fake.proxy.certificates and not ServedCertificate.objects.exists()


def test_a_removed_one_leaves_the_proxy_and_the_name_answers_plainly(
    fake: FakeEngine, live: App
) -> None:
    domain = domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    certificate = bring(live.project, HOST)
    settle()
    certificate_remove(certificate=certificate)
    settle()
    domain.refresh_from_db()
    assert not fake.proxy.certificates and not domain.sends_on
    assert not [name for name in file_of(fake, live)["http"]["routers"] if name.endswith("-tls")]


def test_one_that_names_what_another_project_has_is_refused_and_never_served(
    fake: FakeEngine, live: App, foreign: App
) -> None:
    domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    domain_add(app=foreign, host="rival.example.org", created_by=None)
    with pytest.raises(CertificateRefused, match=r"rival\.example\.org, which another project"):
        bring(live.project, HOST, "rival.example.org")
    with pytest.raises(CertificateRefused):
        bring(live.project, HOST, foreign.host)
    # Who comes first to a name has it: a certificate from before is served no longer.
    bring(live.project, HOST, "later.example.org")
    settle()
    assert len(fake.proxy.certificates) == 1
    domain_add(app=foreign, host="later.example.org", created_by=None)
    settle()
    assert not fake.proxy.certificates


def test_a_wildcard_that_browsers_do_not_know_is_refused_where_others_have_names_below_it(
    live: App, foreign: App
) -> None:
    """Traefik would ask no issuer for those any more, and serve this one."""
    domain_add(app=foreign, host="rival.example.org", created_by=None)
    domain_add(app=foreign, host="far.below.example.net", created_by=None)
    with pytest.raises(CertificateRefused, match=r"rival\.example\.org, which another project"):
        bring(live.project, "*.example.org")
    with pytest.raises(CertificateRefused, match="which another project"):
        bring(live.project, f"*.{foreign.host.partition('.')[2]}")
    bring(live.project, "*.example.net")


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


def test_https_is_the_names_for_all_its_paths(fake: FakeEngine, live: App, shop: Project) -> None:
    api = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    first = domain_add(app=live, host=HOST, https=HttpsBy.SELF, created_by=None)
    path = domain_add(app=api, host=HOST, path="/api", created_by=None)
    assert Domain.objects.get(pk=path.pk).https == HttpsBy.SELF
    domain_change(domain=path, https=HttpsBy.OFF)
    assert Domain.objects.get(pk=first.pk).https == HttpsBy.OFF
    live.refresh_from_db()
    assert live.needs_apply


def test_one_app_of_a_name_that_wants_tls_1_3_has_it_for_all_paths(
    fake: FakeEngine, live: App, shop: Project
) -> None:
    api = app_create(project=shop, slug="api", repository="https://e.example/r", created_by=None)
    domain = domain_add(app=live, host=HOST, path="/a", https=HttpsBy.SELF, created_by=None)
    domain_add(app=api, host=HOST, path="/api", created_by=None)
    file_of(fake, live)
    https_change(app=api, tls_minimum=TlsMinimum.TLS13)
    twin = file_of(fake, live)["http"]["routers"][f"app-{live.pk}-d{domain.pk}-tls"]
    assert twin["tls"]["options"] == "modern@file"


def test_a_proxy_that_does_not_answer_changes_nothing(fake: FakeEngine, live: App) -> None:
    domain = domain_add(app=live, host=HOST, created_by=None)
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    settle()
    fake.proxy.fail("look_at_certificate", ProxyUnavailable("Traefik does not answer."))
    again()
    domain.refresh_from_db()
    assert domain.sends_on and row().kind == "public"
    assert row().next_look_at > timezone.now()


def test_a_moved_name_takes_its_certificate_state_along(
    fake: FakeEngine, live: App, foreign: App
) -> None:
    domain = domain_add(app=live, host=HOST, https=HttpsBy.OWN, created_by=None)
    bring(live.project, HOST)
    settle()
    # The certificate is the project's: in another one there is none for it.
    domain_move(domain=domain, to=foreign)
    settle()
    assert not fake.proxy.certificates


def test_somebody_may_ask_to_look_now(fake: FakeEngine, live: App) -> None:
    domain_add(app=live, host=HOST, created_by=None)
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    settle()
    assert row().next_look_at > timezone.now() + dt.timedelta(hours=20)
    served_check(app=live)
    assert row().next_look_at <= timezone.now()


def test_who_waits_is_looked_at_often_at_first_and_seldom_in_the_end() -> None:
    now = timezone.now()
    for waited, pause in ((0, 5), (60, 5), (300, 60), (3599, 60), (7200, 3600), (2 * 86400, 86400)):
        waiting = ServedCertificate(waits_since=now - dt.timedelta(seconds=waited))
        assert serving.next_look(waiting, now) - now == dt.timedelta(seconds=pause)


def test_an_end_is_told_once_to_the_projects_owner_and_admins(
    fake: FakeEngine, live: App, alice: User, settings: Settings
) -> None:
    for name, role in (("bob", ProjectRole.ADMIN), ("charlie", ProjectRole.DEVELOPER)):
        user = User.objects.create_user(f"{name}@example.com", name=name)
        Membership.objects.create(user=user, project=live.project, role=role)
    Project.objects.filter(pk=live.project_id).update(owner=alice)
    pair = CA.chained(HOST, "b.example.com", ends=9 * DAY + DAY / 2)
    for host in (HOST, "b.example.com"):
        domain_add(app=live, host=host, created_by=None)
        fake.proxy.served[host] = seen(pair)
    settle()
    assert warn_by_mail() == 0
    settings.EMAIL_URL = "smtp://mail.example.com"
    assert warn_by_mail() == 1 and warn_by_mail() == 0
    assert sorted(one.to[0] for one in mail.outbox) == ["alice@example.com", "bob@example.com"]
    [message] = mail.outbox[:1]
    assert message.subject == "The certificate of b.example.com ends in 9 days"
    assert HOST in message.body and "/projects/shop/apps/web/domains/" in message.body
    # Of its successor anew.
    fake.proxy.served[HOST] = seen(CA.chained(HOST, ends=2 * DAY))
    again()
    assert warn_by_mail() == 1


def test_nobody_is_warned_of_self_signed_ones(
    fake: FakeEngine, live: App, settings: Settings
) -> None:
    settings.EMAIL_URL = "smtp://mail.example.com"
    https_change(app=live, own_https=OwnHttpsBy.SELF)
    settle()
    ServedCertificate.objects.update(not_after=timezone.now() + DAY)
    assert warn_by_mail() == 0 and mail.outbox == []
