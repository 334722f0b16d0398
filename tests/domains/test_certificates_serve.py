"""What is written for the proxy, what is seen there, and what follows from it."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from apps.domains.certificate_services import (
    certificate_remove,
    https_change,
)
from apps.domains.models import (
    Certificate,
    Domain,
    LocalAuthority,
    LocalCertificate,
    ServedCertificate,
)
from apps.domains.services import domain_add, domain_change, domain_move, domain_remove
from apps.engine.errors import CertificateRefused, ProxyUnavailable
from apps.engine.fake import FakeEngine
from apps.projects.https_models import Hsts, HttpsBy, OwnHttpsBy, Redirect, TlsMinimum
from apps.projects.models import App, Project
from apps.projects.services import app_create
from tests.domains.serve import CA, HOST, again, bring, file_of, row, seen, settle
from tests.machine.issuer import DAY


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
