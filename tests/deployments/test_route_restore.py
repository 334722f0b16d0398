"""Every 30 s all route files are compared with the database at once, and what differs is put right
app by app."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from apps.deployments import reconciliation
from apps.deployments.models import Deployment, Status
from apps.deployments.services import app_delete
from apps.deployments.traffic import publish_routes
from apps.domains.models import Certificate, CertificateOrder, Domain, TrafficRules, TrafficUser
from apps.domains.services import domain_add
from apps.engine.errors import SecretsUnreadable
from apps.engine.fake import FakeEngine
from apps.projects.https_models import HttpsBy, TlsMinimum
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from tests.deployments.test_deployment_run import deploy, serving

FOREIGN: dict[str, Any] = {"http": {"routers": {"app-0": {"rule": "Host(`evil.example`)"}}}}
HASH = "$2b$04$" + "a" * 53


@dataclass(frozen=True)
class Street:
    """One app of each kind, as rows."""

    live: App
    named: App
    closed: App
    paused: App
    """Nothing of it is live, and its visitors are told why."""
    worker: App
    fresh: App
    source: App
    target: App
    """Has a name that `source` still has as well."""

    @property
    def routed(self) -> list[App]:
        return [self.live, self.named, self.closed, self.paused, self.source, self.target]


def make(project: Project, slug: str, *, live: bool = True, port: int | None = 8000) -> App:
    app = app_create(
        project=project, slug=slug, repository="https://e.example/r", created_by=None, port=8000
    )
    if live:
        Deployment.objects.create(app=app, number=1, ref="main", status=Status.LIVE, port=port)
    return app


def build(number: int = 0) -> Street:
    project = project_create(slug=f"street-{number}", created_by=None)
    street = Street(
        live=make(project, "live"),
        named=make(project, "named"),
        closed=make(project, "closed"),
        paused=make(project, "paused", live=False),
        worker=make(project, "worker", port=None),
        fresh=make(project, "fresh", live=False),
        source=make(project, "source"),
        target=make(project, "target"),
    )
    Deployment.objects.filter(app=street.named).update(more_ports=[9000])
    host = f"n{number}.example.com"
    first = Domain.objects.create(app=street.named, host=host, is_primary=True)
    Domain.objects.create(app=street.named, host=f"www.{host}", redirects=True)
    Domain.objects.create(app=street.named, host=host, path="/api", port=9000, strips_path=True)
    Domain.objects.create(app=street.named, host=f"own.{host}", https=HttpsBy.OWN)
    rules = TrafficRules.objects.create(app=street.named, domain=first, compresses=True)
    TrafficUser.objects.create(rules=rules, name="eve", password_hash=HASH)
    now, year = timezone.now(), dt.timedelta(days=365)
    Certificate.objects.create(
        project=project, names=[f"own.{host}"], issuer="Us", not_before=now - year,
        not_after=now + year, fingerprint=f"{number:064x}", chain="chain", key="key",
    )  # fmt: skip
    Deployment.objects.create(
        app=street.closed, number=2, ref="main", status=Status.STARTING, gap_began_at=now
    )
    TrafficRules.objects.create(app=street.paused, maintenance=True)
    moved = Domain.objects.create(
        app=street.target, moved_from=street.source, host=f"moved.{host}", path="/old"
    )
    TrafficRules.objects.create(app=street.target, domain=moved, rate_average=5)
    return street


@pytest.fixture
def street(fake: FakeEngine, db: None) -> Street:
    return build()


def each_by_itself(fake: FakeEngine) -> dict[str, Any]:
    """What is written when each app is read alone, which no comparison has decided."""
    fake.proxy.routes.clear()
    for app in App.objects.order_by("pk"):
        publish_routes(app)
    return dict(fake.proxy.routes)


def changes(fake: FakeEngine) -> list[tuple[str, str]]:
    return [(step, app) for _, step, app in fake.calls if step in ("write_routes", "remove_routes")]


def test_nothing_is_written_where_nothing_differs(fake: FakeEngine, street: Street) -> None:
    right = each_by_itself(fake)
    assert set(right) == {str(app.pk) for app in street.routed}
    fake.calls.clear()
    reconciliation.restore_routes()
    assert changes(fake) == [] and fake.proxy.routes == right


@pytest.mark.parametrize(
    "drift",
    [
        dict.clear,
        lambda routes: routes.update(dict.fromkeys(routes, FOREIGN)),
        lambda routes: routes.update({"999": FOREIGN}),
    ],
    ids=["gone", "another", "of nobody"],
)
def test_every_kind_of_route_is_put_right_in_one_round(
    fake: FakeEngine, street: Street, drift: Callable[[dict[str, Any]], None]
) -> None:
    right = each_by_itself(fake)
    drift(fake.proxy.routes)
    reconciliation.restore_routes()
    assert fake.proxy.routes == right


def test_a_route_to_what_has_none_is_taken_away(fake: FakeEngine, street: Street) -> None:
    right = each_by_itself(fake)
    fake.proxy.routes |= {str(app.pk): FOREIGN for app in (street.worker, street.fresh)}
    fake.calls.clear()
    reconciliation.restore_routes()
    assert fake.proxy.routes == right
    assert {app for _, app in changes(fake)} == {str(street.worker.pk), str(street.fresh.pk)}


@pytest.mark.parametrize(
    "change",
    [
        lambda street: Domain.objects.create(app=street.live, host="new.example.com", https="off"),
        lambda street: Domain.objects.filter(app=street.named, path="/api").update(path="/v2"),
        lambda street: Domain.objects.filter(moved_from=street.source).update(moved_from=None),
        lambda street: TrafficUser.objects.all().delete(),
        lambda street: Certificate.objects.all().delete(),
        lambda street: TrafficRules.objects.filter(app=street.paused).update(maintenance=False),
        lambda street: Deployment.objects.filter(status=Status.STARTING).update(gap_began_at=None),
        lambda street: Deployment.objects.filter(app=street.live).update(more_ports=[1], port=None),
        lambda street: Deployment.objects.filter(app=street.live).update(replica_ids=["a", "b"]),
        lambda street: App.objects.filter(pk=street.live.pk).update(label="other"),
    ],
)
def test_what_the_database_says_is_written_whoever_changed_it(
    fake: FakeEngine, street: Street, change: Callable[[Street], object]
) -> None:
    each_by_itself(fake)
    old = dict(fake.proxy.routes)
    change(street)
    reconciliation.restore_routes()
    found = dict(fake.proxy.routes)
    assert found != old and found == each_by_itself(fake)


def test_many_apps_cost_as_few_queries_as_some(fake: FakeEngine, db: None) -> None:
    def cost() -> int:
        reconciliation.restore_routes()
        with CaptureQueriesContext(connection) as queries:
            reconciliation.restore_routes()
        return len(queries)

    build(0)
    few = cost()
    for number in range(1, 6):
        build(number)
    assert cost() == few <= 20


def test_what_was_read_before_another_version_went_live_is_not_written(
    fake: FakeEngine, web: App
) -> None:
    deploy(web)
    done: list[Deployment] = []
    # Everything has been read, and what is there is looked at now.
    fake.proxy.fail("drifted", lambda: done.append(deploy(web)))
    fake.calls.clear()
    reconciliation.restore_routes()
    assert changes(fake)[-1] == ("write_routes", str(web.pk))
    assert serving(fake, web) == f"{done[0].service}@docker"


def test_a_name_that_comes_meanwhile_stays(fake: FakeEngine, web: App) -> None:
    deploy(web)

    def arrive() -> None:
        domain_add(app=web, host="shop.example.com", https=HttpsBy.OFF, created_by=None)
        publish_routes(web)

    fake.proxy.fail("drifted", arrive)
    reconciliation.restore_routes()
    assert "shop.example.com" in str(fake.proxy.routes[str(web.pk)])


def test_an_app_that_is_deleted_meanwhile_gets_no_route_again(fake: FakeEngine, web: App) -> None:
    deploy(web)

    def delete() -> None:
        app_delete(app=web)
        # As far as it goes at first: its containers take their time to end.
        fake.proxy.remove_routes(str(web.pk))

    fake.proxy.fail("drifted", delete)
    reconciliation.restore_routes()
    assert fake.proxy.routes == {}
    reconciliation.apply_wishes()
    assert not App.objects.exists()


def test_a_roll_goes_on_with_the_route_it_had(fake: FakeEngine, three: App) -> None:
    deploy(three)
    to_the_service = fake.proxy.routes[str(three.pk)]
    kept: list[bool] = []

    def disturb() -> None:
        right = fake.proxy.routes[str(three.pk)]
        fake.proxy.routes[str(three.pk)] = to_the_service
        reconciliation.restore_routes()
        kept.append(fake.proxy.routes[str(three.pk)] == right != to_the_service)

    fake.proxy.fail("drain", disturb, times=2)
    assert deploy(three).status == Status.LIVE
    assert kept == [True] * 2


def test_secrets_that_cannot_be_read_keep_no_other_app_from_its_route(
    fake: FakeEngine, street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    right = each_by_itself(fake)
    with connection.cursor() as cursor:
        cursor.execute(f"UPDATE {TrafficUser._meta.db_table} SET password_hash = 'broken'")
    with pytest.raises(SecretsUnreadable):
        publish_routes(street.named)
    fake.proxy.routes.pop(str(street.live.pk))
    reconciliation.restore_routes()
    assert fake.proxy.routes == right
    assert f"The routes of {street.named}" in caplog.text
    assert f"The routes of {street.live}" not in caplog.text


def test_a_name_that_no_app_can_have_keeps_no_other_from_its_route(
    fake: FakeEngine, street: Street, caplog: pytest.LogCaptureFixture
) -> None:
    right = each_by_itself(fake)
    Domain.objects.filter(app=street.named, path="/api").update(path="/a`b")
    fake.proxy.routes.pop(str(street.live.pk))
    reconciliation.restore_routes()
    assert fake.proxy.routes == right
    assert f"The routes of {street.named}" in caplog.text


def test_a_name_without_a_place_in_line_gets_one(fake: FakeEngine, street: Street) -> None:
    reconciliation.restore_routes()
    orders = CertificateOrder.objects.filter(host="n0.example.com")
    assert orders.exists()
    orders.delete()
    reconciliation.restore_routes()
    assert orders.exists()


def test_a_name_shared_by_path_is_strict_for_the_app_that_has_the_rest_of_it(
    fake: FakeEngine, db: None
) -> None:
    project = project_create(slug="shop", created_by=None)
    root, api = make(project, "root"), make(project, "api")
    domain_add(app=root, host="shop.example.com", https=HttpsBy.SELF, created_by=None)
    domain_add(app=api, host="shop.example.com", path="/api", created_by=None)
    App.objects.filter(pk=api.pk).update(tls_minimum=TlsMinimum.TLS13)
    reconciliation.restore_routes()
    routers = fake.proxy.routes[str(root.pk)]["http"]["routers"]
    options = [one["tls"].get("options") for one in routers.values() if "tls" in one]
    assert options and set(options) == {"modern@file"}


def test_only_what_changed_is_written(fake: FakeEngine, street: Street) -> None:
    each_by_itself(fake)
    Domain.objects.create(app=street.live, host="z.example.com", https=HttpsBy.OFF)
    fake.calls.clear()
    reconciliation.restore_routes()
    assert changes(fake) == [("write_routes", str(street.live.pk))]
