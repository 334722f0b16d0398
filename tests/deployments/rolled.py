"""What visitors and the machine meet while containers are replaced one by one."""

from __future__ import annotations

from typing import Any

from apps.deployments.logs import log_path, plain_text
from apps.deployments.models import Deployment, Status
from apps.engine.data import Container, ContainerStatus
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from tests.deployments.test_deployment_run import serving


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


def fail_at(fake: FakeEngine, number: int, step: str, fault: Any) -> None:
    """The step fails, or does that, the nth time it is taken."""
    actor = fake.proxy if step in ("probe", "wait_for_servers", "drain") else fake.containers
    for _ in range(number - 1):
        actor.fail(step, lambda: None)
    actor.fail(step, fault)
