"""Containers that are replaced one by one, on the fake engine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments import observation, pipeline, planning, reconciliation, work
from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.deployments.rolls import old_to_keep
from apps.deployments.services import (
    app_restart,
    app_stop,
    deployment_cancel,
    deployment_request,
    deployment_rollback,
)
from apps.deployments.tasks import claim_next
from apps.deployments.work import Work, log_of
from apps.domains.services import domain_add
from apps.engine.data import Container, ContainerStatus, ProbeResult
from apps.engine.errors import EngineAway, StartFailed, SwitchFailed
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.projects.services import app_update, volume_add
from tests.deployments.test_deployment_run import deploy, serving

NAME = "shop.example.com"


class Killed(BaseException):
    """Of Mist, by `kill -9`."""


@pytest.fixture
def three(fake: FakeEngine, web: App) -> Iterator[App]:
    web.replicas = 3
    web.save()
    yield web
    work.stopping.clear()


def running(fake: FakeEngine) -> list[Container]:
    return [c for c in fake.containers.all.values() if c.status is ContainerStatus.RUNNING]


def reached(fake: FakeEngine, app: App) -> list[Container | None]:
    """The containers that visitors reach, None for an address at which there is none."""
    http = fake.proxy.leads[str(app.pk)]["http"]
    service = http["routers"][f"app-{app.pk}"]["service"]
    if service.endswith("@docker"):
        label = f"traefik.http.services.{service.removesuffix('@docker')}.loadbalancer.server.port"
        return [one for one in running(fake) if label in one.labels]
    at = {f"http://{a}:8000": c for c in running(fake) for a in c.addresses.values()}
    servers = http["services"][service]["loadBalancer"]["servers"]
    return [at.get(one["url"]) for one in servers]


class Visitors:
    """Look at every call what is reached and how many run."""

    def __init__(self, fake: FakeEngine, app: App) -> None:
        self.fake, self.app = fake, app
        self.fewest, self.most, self.mixes = 99, 0, set[tuple[int, ...]]()
        fake.proxy.takes_up_late = True
        fake.proxy.watch = fake.containers.watch = self.look

    def look(self, call: tuple[str, str, str]) -> None:
        found = reached(self.fake, self.app)
        good = [c for c in found if c is not None and c.image not in self.fake.proxy.sick]
        self.fewest = min(self.fewest, len(good), 0 if len(good) < len(found) else 99)
        self.most = max(self.most, len(running(self.fake)))
        of = [int(c.labels["mist.deployment"]) for c in good]
        self.mixes.add(tuple(sorted(of.count(one) for one in set(of))))

    def meet(self, least: int, most: int) -> None:
        assert (self.fewest, self.most) == (least, most)


def log(deployment: Deployment) -> str:
    return "".join(plain_text(log_path(deployment.pk)))


def at_rest(fake: FakeEngine, live: Deployment) -> None:
    """It alone is there, whole, and its own service leads to it."""
    row = Deployment.objects.get(pk=live.pk)
    assert row.status == Status.LIVE and row.owner == ""
    assert set(fake.containers.all) == set(row.container_ids)
    assert {c.status for c in fake.containers.all.values()} == {ContainerStatus.RUNNING}
    assert serving(fake, row.app) == f"{row.service}@docker"
    assert set(fake.containers.images) == set(
        Deployment.objects.exclude(image="").values_list("image", flat=True)
    )
    assert not Deployment.objects.filter(roll__isnull=False).exists()


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


def fail_at(fake: FakeEngine, number: int, step: str, fault: Any) -> None:
    """The step fails, or does that, the nth time it is taken."""
    actor = fake.proxy if step in ("probe", "wait_for_servers", "drain") else fake.containers
    for _ in range(number - 1):
        actor.fail(step, lambda: None)
    actor.fail(step, fault)


FAILURES: list[tuple[int, str, Exception]] = [
    (2, "start", StartFailed("No.")),
    (3, "start", StartFailed("No.")),
    (1, "wait_for_servers", SwitchFailed("No.")),
    (2, "wait_for_servers", SwitchFailed("No.")),
    (3, "wait_for_servers", SwitchFailed("No.")),
    (4, "wait_for_servers", SwitchFailed("No.")),
]


@pytest.mark.parametrize(("number", "step", "error"), FAILURES)
def test_all_is_as_it_was_when_a_step_fails(
    fake: FakeEngine, three: App, number: int, step: str, error: Exception
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, number, step, error)
    second = deploy(three)
    assert (second.status, second.failure) == (Status.FAILED, "No.")
    seen.meet(3, 4)
    at_rest(fake, first)
    assert "All containers of #1 serve again" in log(second)
    three.refresh_from_db()
    assert not three.needs_apply and three.observed == App.Observed.RUNNING


def test_one_that_never_gets_healthy_brings_the_old_ones_back(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    app_update(app=three, health_start_seconds=1, health_attempts=1, health_interval=1)
    seen = Visitors(fake, three)
    good, bad = ProbeResult(200, 1.0), ProbeResult(500, 1.0)
    fake.proxy.answers = [good, bad, bad, bad]
    second = deploy(three)
    assert second.status == Status.FAILED and "failed" in second.failure
    seen.meet(3, 4)
    at_rest(fake, first)
    assert "1 of 3 replaced" in log(second) and "2 of 3 replaced" not in log(second)


def test_an_old_one_that_is_gone_is_made_anew(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)

    def lose() -> None:
        fake.containers.all.pop(first.container_ids[0])
        raise StartFailed("No.")

    fail_at(fake, 2, "start", lose)
    assert deploy(three).status == Status.FAILED
    seen.meet(3, 4)
    again = Deployment.objects.get(pk=first.pk)
    assert again.container_ids[0] != first.container_ids[0]
    at_rest(fake, first)


def test_old_ones_that_lost_their_network_are_made_anew(fake: FakeEngine, three: App) -> None:
    first = deploy(three)

    def cut_off() -> None:
        fake.containers.lose_networks()
        raise StartFailed("No.")

    fail_at(fake, 2, "start", cut_off)
    assert deploy(three).status == Status.FAILED
    at_rest(fake, first)
    network = planning.network_name(three.project)
    assert all(one.addresses.get(network) for one in fake.containers.all.values())


def test_one_that_cannot_come_back_now_is_tried_until_it_does(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No."))
    fake.containers.fail("start", StartFailed("Not now."))
    fake.containers.fail("resume", StartFailed("Not now."))
    second = deploy(three)
    assert second.status == Status.FAILED
    assert "Container 1 of #1 is not back yet. Not now." in log(second)
    assert len(reached(fake, three)) == 2
    reconciliation.apply_wishes()
    at_rest(fake, first)


def cancelled_at(fake: FakeEngine, app: App, number: int, step: str) -> Deployment:
    requested = deployment_request(app=app, requested_by=None)
    fail_at(fake, number, step, lambda: deployment_cancel(deployment=requested, by=None))
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=requested.pk)


@pytest.mark.parametrize(
    ("number", "step"),
    [(2, "start"), (3, "start"), (2, "probe"), (1, "drain"), (2, "drain"), (1, "stop")]
    + [(number, "wait_for_servers") for number in (1, 2, 3, 4, 5)],
)
def test_cancelling_goes_back_from_wherever_it_is(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    first = deploy(three)
    seen = Visitors(fake, three)
    second = cancelled_at(fake, three, number, step)
    assert second.status == Status.CANCELLED
    seen.meet(3, 4)
    at_rest(fake, first)


def test_nobody_waits_for_requests_to_what_was_cancelled(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    seen: list[tuple[str, str, int]] = []

    def look() -> None:
        row = Deployment.objects.get(number=2)
        held = Deployment.objects.get(pk=first.pk).owner
        seen.append((row.status, "held" if held else "free", len(running(fake))))

    # Of the old one that made way first, then of the new one that nobody is led to any more.
    fake.proxy.fail("drain", lambda: None)
    fake.proxy.fail("drain", look)
    cancelled_at(fake, three, 2, "start")
    assert seen == [("cancelled", "held", 4)]
    at_rest(fake, first)


def killed_at(
    fake: FakeEngine, app: App, number: int, step: str, *, back: bool = False
) -> Deployment:
    """A deployment as a process leaves it that dies there, on its way `back` or forward."""

    def die() -> None:
        raise Killed

    deployment_request(app=app, requested_by=None)
    claimed = claim_next()
    assert claimed is not None
    fail_at(fake, number, step, die)
    with pytest.raises(Killed), log_of(claimed) as opened, ExitStack() as undo:
        one = Work(claimed, fake, opened, undo)
        try:
            if back:
                pipeline._carry(one, lambda: pipeline._take_steps(one))
            else:
                pipeline._take_steps(one)
        finally:
            undo.pop_all()
    return Deployment.objects.get(pk=claimed.pk)


@pytest.mark.parametrize(
    ("number", "step"),
    [(2, "start"), (3, "start"), (2, "probe"), (1, "drain"), (2, "drain"), (1, "stop"), (2, "stop")]
    + [(number, "wait_for_servers") for number in (1, 2, 3, 4, 5)],
)
def test_it_goes_on_after_mist_was_killed(
    fake: FakeEngine, three: App, number: int, step: str
) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    second = killed_at(fake, three, number, step)
    assert second.is_rolling
    observation.observe_all()
    reconciliation.recover_abandoned(owner="another", alone=True)
    done = Deployment.objects.get(pk=second.pk)
    assert (done.status, done.failure) == (Status.LIVE, ""), log(done)
    seen.meet(3, 4)
    at_rest(fake, done)


@pytest.mark.parametrize("step", ["start", "drain", "wait_for_servers"])
def test_one_that_was_cancelled_and_killed_goes_back(
    fake: FakeEngine, three: App, step: str
) -> None:
    first = deploy(three)
    second = killed_at(fake, three, 2, step)
    assert deployment_cancel(deployment=second, by=None)
    reconciliation.recover_abandoned(owner="another", alone=True)
    assert Deployment.objects.get(pk=second.pk).status == Status.CANCELLED
    at_rest(fake, first)


def test_a_way_back_that_was_killed_keeps_its_reason(fake: FakeEngine, three: App) -> None:
    first = deploy(three)
    fail_at(fake, 2, "start", StartFailed("No room for it."))
    second = killed_at(fake, three, 1, "resume", back=True)
    reconciliation.recover_abandoned(owner="another", alone=True)
    second.refresh_from_db()
    assert (second.status, second.failure) == (Status.FAILED, "No room for it.")
    at_rest(fake, first)


def test_when_mist_stops_all_stays_and_goes_on_later(fake: FakeEngine, three: App) -> None:
    deploy(three)
    seen = Visitors(fake, three)
    fail_at(fake, 2, "start", work.stopping.set)
    second = deploy(three)
    assert (second.status, second.owner, second.replaced) == (Status.SWITCHING, "", 1)
    assert len(reached(fake, three)) == 3 and "goes on when it is back" in log(second)
    work.stopping.clear()
    reconciliation.recover_abandoned(owner="another", alone=False)
    done = Deployment.objects.get(pk=second.pk)
    assert (done.status, done.replicas) == (Status.LIVE, 3)
    seen.meet(3, 4)
    at_rest(fake, done)


def test_it_begins_again_when_the_engine_was_away(
    fake: FakeEngine, three: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "ASK_ENGINE_SECONDS", 0.0)
    first = deploy(three)
    fail_at(fake, 2, "start", EngineAway("The Docker engine went away."))
    second = deploy(three)
    assert (second.status, second.roll, second.container_ids) == (Status.QUEUED, None, [])
    at_rest(fake, first)


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
