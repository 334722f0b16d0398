"""Which version visitors reach: the app's route, written and confirmed."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

from django.conf import settings
from django.utils import timezone

from apps.deployments import condition, events, lifecycle, planning
from apps.deployments.models import Deployment, PostDeploy
from apps.deployments.selectors import in_gap, live_deployment, rolling_deployment
from apps.deployments.standing import file_to, standings, wanted_file
from apps.deployments.work import Work
from apps.domains.acme import stand_in_line
from apps.domains.addresses import addresses_of
from apps.domains.models import Domain
from apps.domains.planning import router_name
from apps.engine.backends import Backend, rolling_service
from apps.engine.connect import get_engine
from apps.engine.data import Container, ContainerStatus
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError
from apps.engine.labels import service_facts
from apps.engine.locks import file_lock
from apps.projects.models import App

logger = logging.getLogger("mist.deployments")
SLICE_SECONDS = 0.25
"""How long draining goes on before it is asked whether somebody has cancelled."""
COMPARED_AT_ONCE = 500
"""Apps whose rows are in memory together."""


def route_lock(app: App) -> AbstractContextManager[None]:
    """Whoever reads which deployment is live and then writes the route holds this meanwhile."""
    return file_lock(Path(settings.MIST_DATA_DIR) / "locks" / f"routes-{app.pk}")


def publish_routes(app: App) -> None:
    """Write the app's route file from the database: to what is live, or none. While what is live
    has made way for a new version, visitors are told to come back."""
    with route_lock(app):
        _write(app)


def restore_routes_of(app: App) -> None:
    """What `publish_routes` does, unless the app was deleted meanwhile: whoever carries that out
    takes its file away for good."""
    with route_lock(app):
        if App.objects.filter(pk=app.pk, deleted_at=None).exists():
            _write(app)


def astray() -> Iterator[App]:
    """Apps whose route file may be another one than `publish_routes` would write. Those that are
    not deleted are all compared in few queries, so what was read of one may be old by now: it says
    whom to look at, never what to write. One whose containers are replaced right now is among them,
    since where these are only the engine knows."""
    pks = list(App.objects.filter(deleted_at=None).order_by("pk").values_list("pk", flat=True))
    for start in range(0, len(pks), COMPARED_AT_ONCE):
        yield from _astray(pks[start : start + COMPARED_AT_ONCE])


def _astray(pks: Sequence[int]) -> Iterable[App]:
    try:
        found = standings(pks)
    except EngineError:
        # Nothing that is wrong with one of them is in the way of the others.
        return App.objects.filter(pk__in=pks).select_related("project")
    wanted: dict[str, dict[str, Any]] = {}
    for pk, one in found.items():
        lacks_turn = one.addresses is not None and one.addresses.unasked
        if one.rolling is None and not lacks_turn:
            with suppress(EngineError):
                wanted[str(pk)] = wanted_file(one)
    right = wanted.keys() - set(get_engine().proxy.drifted(wanted))
    return [one.app for pk, one in found.items() if str(pk) not in right]


def _write(app: App) -> list[Backend]:
    """What `publish_routes` does; the containers that the file leads to by address, none where it
    leads to a service."""
    proxy, standing = get_engine().proxy, standings([app.pk]).get(app.pk)
    if standing is None or standing.addresses is None:
        proxy.remove_routes(str(app.pk))
        return []
    stand_in_line(standing.addresses.unasked)
    rolling, live = standing.rolling, standing.live
    backends = _backends(rolling, live) if rolling is not None and live is not None else []
    proxy.write_routes(str(app.pk), wanted_file(standing, backends))
    return backends


def _backends(rolling: Deployment, live: Deployment) -> list[Backend]:
    """Those that serve and run, at their addresses of now; none before the first new one does."""
    if not rolling.replaced:
        return []
    network = planning.network_name(live.app.project)
    found = []
    for one in rolling.serving:
        container = get_engine().containers.inspect(one)
        row = rolling if one in rolling.container_ids else live
        if container is None or container.status is not ContainerStatus.RUNNING or not row.port:
            continue
        if address := container.addresses.get(network):
            facts = service_facts(container.labels, row.service)
            found.append(Backend(address, row.port, tuple(row.more_ports), **facts))
    return found


def follow_containers(app: App) -> None:
    """One of the app's containers has started or ended: where they are led to one by one, lead to
    those that run, at their addresses of now."""
    if rolling_deployment(app) is not None:
        publish_routes(app)


def follow_roll(rolling: Deployment, deadline: Deadline) -> None:
    """Lead visitors to what serves by `rolling.roll`, as it is in the database, and return once the
    proxy does so. Raises `SwitchFailed`, `EngineUnavailable`, `OutOfDisk`."""
    app, router = rolling.app, router_name(rolling.app)
    live = live_deployment(app)
    if live is None or not live.has_address:
        return
    proxy = get_engine().proxy
    with route_lock(app):
        if backends := _write(app):
            proxy.wait_for_servers(
                router=router,
                service=rolling_service(router),
                servers=[one.url(None) for one in backends],
                deadline=deadline,
            )
        else:
            proxy.wait_for_route(router=router, service=live.service, deadline=deadline)


def finish_moves(app: App) -> None:
    """Once the app's routes are written, names that were moved to it leave the app they came from.
    Raises `EngineError`."""
    moved = list(Domain.objects.filter(app=app).exclude(moved_from=None))
    if not moved:
        return
    # The proxy reads one file after the other: it may have read this one as it was, and would then
    # read the other one as it is to be.
    deadline = Deadline(5, what="Moving a name")
    get_engine().proxy.wait_until_taken_up(str(app.pk), deadline=deadline)
    sources = App.objects.in_bulk([one.moved_from_id for one in moved])
    # One that was moved on meanwhile is seen to by whoever moved it.
    for one in moved:
        still = Domain.objects.filter(pk=one.pk, app=app, moved_from=one.moved_from_id)
        still.update(moved_from=None)
    for source in sources.values():
        if source.deleted_at is None:
            publish_routes(source)


def take_back_routes(app: App) -> None:
    """After a switch that did not end well: traffic goes to what is live, and what it may have
    reached meanwhile can be taken away once this returns."""
    publish_routes(app)
    live = live_deployment(app)
    if live is None or not live.has_address:
        return
    router, deadline = router_name(app), Deadline(5, what="Switching back")
    try:
        if in_gap(app):
            get_engine().proxy.wait_until_closed(router=router, deadline=deadline)
        else:
            get_engine().proxy.wait_for_route(
                router=router, service=live.service, deadline=deadline
            )
    except EngineError as error:
        # Without a proxy there is no traffic either; it reads the file when it comes.
        logger.warning("App %s: %s", app, error.sentence)


def move_traffic(work: Work) -> Deployment | None:
    """Lead visitors to the new container, see that the proxy does so, and make it live; to a worker
    nobody is led. Returns what was live before; from then on nothing is undone. Raises
    `SwitchFailed`, `Overtaken`."""
    deployment, app = work.deployment, work.app
    after = PostDeploy.WAITING if app.post_deploy_command else ""
    with route_lock(app):
        if not deployment.is_rolling:
            # From the database, not the file as it was: after a crash that leads here already.
            work.undo.callback(_restore_routes, work)
        # A cancel is heard up to here. Taking a route back that the proxy has yet to take up cannot
        # be told from one that it never saw: visitors would be led to what is removed.
        work.deadline(None, "Switching traffic").check()
        if deployment.has_address:
            _lead_to(work)
        else:
            _lead_nowhere(work)
        before = lifecycle.go_live(
            deployment, observed=_observed(work), post_deploy=after, **gap_of(deployment)
        )
        # It is live: whatever fails from here on undoes nothing.
        work.undo.pop_all()
    if deployment.gap_seconds is not None:
        work.say(f"The gap took {deployment.gap_seconds:.1f} s")
    events.app_changed(app_id=app.pk)
    return before


def gap_of(deployment: Deployment) -> dict[str, float]:
    """How long nobody could reach the app, where its old version made way and that is not known
    yet: a field of the deployment. That of a worker, which nobody visits, ends when it starts."""
    if deployment.gap_began_at is None or deployment.gap_seconds is not None:
        return {}
    return {"gap_seconds": (timezone.now() - deployment.gap_began_at).total_seconds()}


def _lead_to(work: Work) -> None:
    deployment, app, proxy = work.deployment, work.app, work.engine.proxy
    addresses = addresses_of([deployment.app])[deployment.app]
    stand_in_line(addresses.unasked)
    proxy.write_routes(str(app.pk), file_to(deployment, addresses))
    proxy.wait_for_route(
        router=router_name(app),
        service=deployment.service,
        servers=deployment.replicas,
        deadline=Deadline(15, what="Switching traffic"),
    )


def _lead_nowhere(work: Work) -> None:
    """A worker takes the place of a version that visitors could reach."""
    app, proxy = work.app, work.engine.proxy
    if proxy.read_routes(str(app.pk)) is None:
        return
    work.say("Taking the route away: a worker has no address")
    proxy.remove_routes(str(app.pk))
    proxy.wait_until_gone(
        router=router_name(app), deadline=work.deadline(15, "Taking the route away")
    )


def _observed(work: Work) -> str:
    """A worker may have done its work by now."""
    if work.deployment.has_address:
        return App.Observed.RUNNING
    container = work.engine.containers.inspect(work.deployment.container_id)
    ended = container is not None and condition.has_ended(container)
    return App.Observed.ENDED if ended else App.Observed.RUNNING


def drain(
    work: Work, before: Deployment, old: Container, *, cancel: Deadline | None = None
) -> None:
    """New requests go elsewhere by now; those in progress get some time to end. Raises what
    `cancel` raises, which is asked each second."""
    seconds = planning.drain_seconds(work.app)
    patience = Deadline(seconds)
    address = old.addresses.get(planning.network_name(work.app.project))
    if not address or not before.port:
        return
    while True:
        part = patience.remaining() if cancel is None else min(SLICE_SECONDS, patience.remaining())
        if work.engine.proxy.drain(address=address, port=before.port, patience=part):
            return
        if cancel is not None:
            cancel.check()
        if patience.remaining() <= 0:
            break
    work.say(f"Requests to #{before.number} were still in progress after {seconds:.0f} s")


def _restore_routes(work: Work) -> None:
    take_back_routes(work.app)
    # Requests that came to the new version in between get their answer.
    deployment = work.deployment
    for one in deployment.container_ids:
        container = work.engine.containers.inspect(one)
        if container is not None:
            drain(work, deployment, container)
