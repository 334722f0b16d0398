"""Apps that run in the fake engine."""

from __future__ import annotations

from apps.deployments.models import Deployment, Status
from apps.deployments.queueing import next_number
from apps.engine.data import ContainerSpec
from apps.engine.fake import FakeEngine
from apps.projects.models import App


def make_live(fake: FakeEngine, app: App) -> str:
    """A live deployment of the app with a running container, whose id is returned."""
    fake.containers.networks["net"] = {}
    fake.containers.images["image"] = ()
    number = next_number(app)
    Deployment.objects.filter(app=app, status=Status.LIVE).update(status=Status.RETIRED)
    spec = ContainerSpec(name=f"{app.slug}-{number}", image="image", network="net", env={})
    container = fake.containers.start(spec)
    Deployment.objects.create(
        app=app, number=number, ref="main", status=Status.LIVE, container_id=container.id
    )
    App.objects.filter(pk=app.pk).update(observed=App.Observed.RUNNING)
    return container.id
