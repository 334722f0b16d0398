"""Containers that are replaced one by one, on the fake engine."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments import observation, pipeline, reconciliation
from apps.deployments.models import Deployment, Status
from apps.deployments.rolls import old_to_keep
from apps.deployments.services import (
    app_restart,
    app_stop,
    deployment_rollback,
)
from apps.deployments.tasks import claim_next
from apps.domains.services import domain_add
from apps.engine.data import ContainerStatus
from apps.engine.errors import StartFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update, volume_add
from tests.deployments.rolled import Visitors, at_rest, fail_at, log, reached, running
from tests.deployments.test_deployment_run import deploy

NAME = "shop.example.com"


def test_each_takes_the_place_of_one(fake: FakeEngine, three: App) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    second = deploy(three)
    assert (second.status, second.failure) == (Status.LIVE, "")
    seen.meet(3, 4)
    # Old and new together on the way, and each step small.
    assert seen.mixes == {(3,), (1, 3), (1, 2), (2, 2)}
    at_rest(fake, second)
    said = log(second)
    assert [f"{n} of 3 replaced" in said for n in (1, 2, 3)] == [True] * 3
    assert said.index("2 of 3 replaced") < said.index("Live at")


def test_all_at_once_is_as_it_was(fake: FakeEngine, three: App) -> None:
    app_update(app=three, replacing="at-once")
    deploy(three)
    seen = Visitors(fake, three)
    second = deploy(three)
    seen.meet(3, 6)
    assert seen.mixes == {(3,)} and "replaced one by one" not in log(second)
    at_rest(fake, second)


@pytest.mark.parametrize(("old", "new"), [(1, 3), (2, 3), (5, 3), (5, 2), (3, 3), (2, 20)])
def test_it_may_have_more_or_fewer_than_before(
    fake: FakeEngine, three: App, old: int, new: int
) -> None:
    app_update(app=three, replicas=old)
    deploy(three)
    app_update(app=three, replicas=new)
    seen = Visitors(fake, three)
    second = deploy(three)
    assert seen.fewest >= min(old, new) and seen.most <= max(old, new) + 1
    assert second.replicas == new
    at_rest(fake, second)


@pytest.mark.parametrize("of", range(1, 21))
@pytest.mark.parametrize("old", range(1, 21))
def test_the_measure_is_kept_for_all_numbers(of: int, old: int) -> None:
    left = [old_to_keep(joined, of=of, old=old) for joined in range(of + 1)]
    assert left[0] == old and left[-1] == 0 and left == sorted(left, reverse=True)
    for joined in range(1, of + 1):
        assert joined + left[joined] >= min(of, old)
        assert joined + left[joined - 1] <= max(of, old) + 1


def test_an_app_that_stops_first_is_not_shared(fake: FakeEngine, three: App) -> None:
    volume_add(app=three, name="data", path="/data", created_by=None)
    deploy(three)
    second = deploy(three)
    assert "Stopping #1 first" in log(second) and "one by one" not in log(second)
    at_rest(fake, second)


def test_workers_are_replaced_one_by_one_too(fake: FakeEngine, three: App) -> None:
    app_update(app=three, health_check="up", health_up_seconds=0)
    deploy(three)
    most = 0

    def look(call: tuple[str, str, str]) -> None:
        nonlocal most
        most = max(most, len(running(fake)))

    fake.containers.watch = look
    second = deploy(three)
    assert (second.status, most) == (Status.LIVE, 4)
    assert "2 of 3 replaced" in log(second) and len(fake.containers.all) == 3


def middle(fake: FakeEngine, app: App, act: Callable[[], object]) -> Deployment:
    """Do something when one container is replaced and the second one starts."""
    fail_at(fake, 2, "start", act)
    return deploy(app)


def test_nothing_is_set_right_meanwhile(fake: FakeEngine, three: App) -> None:
    first = deploy(three)

    def look() -> None:
        stopped = fake.containers.all[first.container_ids[0]]
        assert stopped.status is ContainerStatus.EXITED
        observation.observe_all()
        reconciliation.reconcile(owner="another", alone=False)
        three.refresh_from_db()
        assert (three.observed, three.observed_detail, three.needs_apply) == ("running", "", False)
        assert fake.containers.all[stopped.id].status is ContainerStatus.EXITED
        assert len(reached(fake, three)) == 3

    at_rest(fake, middle(fake, three, look))


@pytest.mark.parametrize(
    ("wish", "left"), [(app_stop, ContainerStatus.EXITED), (app_restart, ContainerStatus.RUNNING)]
)
def test_a_wish_waits_until_it_has_ended(
    fake: FakeEngine, three: App, wish: Callable[..., None], left: ContainerStatus
) -> None:
    deploy(three)

    def ask() -> None:
        wish(app=three)
        reconciliation.apply_wishes()
        assert len(running(fake)) == 3 and len(reached(fake, three)) == 3

    second = middle(fake, three, ask)
    reconciliation.apply_wishes()
    three.refresh_from_db()
    assert not three.needs_apply
    assert {fake.containers.all[one].status for one in second.container_ids} == {left}


def test_a_name_that_is_added_meanwhile_leads_to_both(fake: FakeEngine, three: App) -> None:
    deploy(three)

    def add() -> None:
        domain_add(app=three, host=NAME, created_by=None)
        reconciliation.apply_wishes()
        routes = fake.proxy.routes[str(three.pk)]["http"]
        leads = {r["service"] for r in routes["routers"].values() if NAME in r["rule"]}
        assert f"app-{three.pk}-rolling" in leads
        assert not any(one.startswith("mist-") and "@" in one for one in leads)
        assert len(reached(fake, three)) == 3

    second = middle(fake, three, add)
    at_rest(fake, second)


def test_one_that_dies_meanwhile_gets_no_more_visitors(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    watch = observation.EventWatch()
    seen: list[int] = []

    def die() -> None:
        told = len(fake.containers._events)
        fake.containers.kill(first.container_ids[2])
        for event in fake.containers._events[told:]:
            watch.note(event)
        assert None not in reached(fake, three)
        seen.append(len(reached(fake, three)))

    at_rest(fake, middle(fake, three, die))
    assert seen == [2]


def test_a_rollback_is_rolled_too(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    deploy(three)
    seen = Visitors(fake, three)
    deployment_rollback(to=first, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    seen.meet(3, 4)
    at_rest(fake, claimed)


def test_its_pages_tell_the_truth(
    fake: FakeEngine, three: App, client: Client, alice: User
) -> None:
    deploy(three)
    client.force_login(alice)
    pages: list[str] = []

    def read() -> None:
        for path in ("/projects/shop/apps/web/", "/projects/shop/apps/web/deployments/2/"):
            pages.append(" ".join(client.get(path).content.decode().split()))

    middle(fake, three, read)
    overview, page = pages
    assert "1 of 3 containers replaced" in overview
    assert "1 of 3 containers replaced" in page and "both versions answer" in page


def test_its_page_says_that_it_goes_back(
    fake: FakeEngine, three: App, client: Client, alice: User
) -> None:
    deploy(three)
    client.force_login(alice)
    pages: list[str] = []
    fake.containers.fail(
        "resume",
        lambda: pages.append(client.get("/projects/shop/apps/web/deployments/2/").content.decode()),
    )
    middle(fake, three, lambda: (_ for _ in ()).throw(StartFailed("No room.")))
    assert "Going back to #1" in pages[0] and "No room." in pages[0]
