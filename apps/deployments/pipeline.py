"""One deployment, from the queue to live traffic.

`run` reads as the list of steps. Each step leaves an undo on the stack; when a later one fails,
the undos run in reverse and the version that was live before has served all the time.
"""

from __future__ import annotations

import logging
import shutil
from contextlib import ExitStack
from pathlib import Path

from django.conf import settings
from django.db.utils import Error as DatabaseError

from apps.deployments import changes, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.checking import check, look_at
from apps.deployments.cloning import clone
from apps.deployments.endings import AWAY_SECONDS, begin_again, end_badly, own_fault
from apps.deployments.holdings import holdings_of
from apps.deployments.lifecycle import Overtaken
from apps.deployments.models import Deployment, Status
from apps.deployments.pulling import pull
from apps.deployments.release import after_going_live, release
from apps.deployments.retention import prune_images
from apps.deployments.selectors import live_deployment_of
from apps.deployments.source import advance_branch
from apps.deployments.stop_first import bring_back, make_way
from apps.deployments.traffic import drain, gap_of, move_traffic
from apps.deployments.undoing import remove_container, remove_image
from apps.deployments.work import (
    Interrupted,
    Work,
    lease,
    log_of,
    stopping,
    wait_for_engine,
)
from apps.domains.selectors import ports_of
from apps.engine.connect import get_engine
from apps.engine.data import Container
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineAway, EngineError
from apps.engine.locks import file_lock
from apps.engine.sources import find_dockerfile
from apps.projects.selectors import filled_in
from apps.sources.renaming import follow_name

logger = logging.getLogger("mist.deployments")


def run(deployment: Deployment) -> None:
    """Carry a claimed deployment to its end, whatever that is. Never raises for the outside."""
    if bring_live(deployment):
        retire(deployment)


def bring_live(deployment: Deployment) -> bool:
    """Everything up to live traffic. True when it is live: then `retire` has to follow, and the
    deployment is held until it has. Never raises for the outside."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        try:
            if deployment.source_id is None:
                follow_name(work.app)
            take_stock(work)
            if deployment.source_id is None:
                if deployment.wanted_image:
                    pull(work)
                else:
                    clone(work)
                    build(work)
                # A rollback's database is ahead of its code already.
                release(work)
            start(work)
            check(work)
            start_others(work)
            switch(work)
        except Overtaken as error:
            logger.warning("%s", error)
            undo.pop_all()
            return False
        except (Interrupted, EngineAway) as error:
            begin_again(work, error)
            return False
        except EngineError as error:
            end_badly(work, error)
            return False
        except Exception as error:
            logger.exception("Deployment %s failed inside Mist", deployment.pk)
            end_badly(work, own_fault(error))
            return False
        return True


def resume_switch(deployment: Deployment) -> bool:
    """Finish a deployment whose owner died while traffic moved. The caller owns it by now. As
    `bring_live` otherwise."""
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        if deployment.source_id is None:
            undo.callback(remove_image, work, deployment.image)
        if deployment.gap_began_at and (live := live_deployment_of(deployment.app_id)):
            undo.callback(bring_back, work, live)
        undo.callback(remove_container, work)
        try:
            work.say("Mist was restarted, going on with the switch")
            move_traffic(work)
        except Overtaken:
            undo.pop_all()
            return False
        except EngineError as error:
            end_badly(work, error)
            return False
        except Exception as error:
            logger.exception("Deployment %s failed inside Mist", deployment.pk)
            end_badly(work, own_fault(error))
            return False
        _say_live(work)
        return True


# ----------------------------------------------------------------------------------------- steps


def take_stock(work: Work) -> None:
    """Read variables, volumes and ports once and record what this deployment is made from."""
    deployment, source = work.deployment, work.deployment.source
    if source is not None and deployment.takes_old_variables:
        work.variables = changes.unpack_variables(source.variables)
    else:
        work.variables = filled_in(work.app, strict=True)
    work.held = holdings_of(work.app)
    made_from = changes.record(work.app, work.variables, work.held)
    if source is not None:
        made_from = changes.record_of_rollback(made_from, source.made_from)
    if deployment.takes_old_variables:
        # Not those of the app's last change: they are always to be compared.
        made_from["environment"] = ""
    lifecycle.record(
        deployment, made_from=made_from, variables=changes.pack_variables(work.variables)
    )
    work.hide_values()


def build(work: Work) -> None:
    """Build the image; afterwards the checkout is gone."""
    deployment, app = work.deployment, work.app
    lifecycle.move(deployment, Status.BUILDING)
    context, dockerfile = find_dockerfile(work.checkout, app.root_directory, app.dockerfile)
    spec = planning.build_spec(
        deployment, context=context, dockerfile=dockerfile, variables=work.variables
    )
    work.say(f"Building {dockerfile.relative_to(work.checkout.resolve())}")
    work.undo.callback(remove_image, work, spec.image)
    work.engine.containers.build(
        spec, log=work.line, deadline=work.deadline(settings.MIST_BUILD_TIMEOUT, "The build")
    )
    shutil.rmtree(work.checkout, ignore_errors=True)
    lifecycle.record(deployment, image=spec.image)


def start(work: Work) -> None:
    """Start the new container, on the project's own network: beside the old one, or after it where
    the app cannot have two."""
    deployment, app = work.deployment, work.app
    containers = work.engine.containers
    if deployment.source is None:
        lifecycle.move(deployment, Status.STARTING)
    else:
        work.say(f"Rolling back to #{deployment.source.number}, {_what(deployment)}")
    work.deadline(None, "Starting").check()
    exposed = containers.exposed_ports(deployment.image)
    port = planning.choose_port(app, exposed)
    if port is not None:
        more = planning.more_ports(port, exposed=exposed, led_to=ports_of(app))
        lifecycle.record(deployment, more_ports=more)
    containers.ensure_network(planning.network_name(app.project), labels=planning.instance_labels())
    make_way(work)
    work.undo.callback(remove_container, work)
    container = _start_container(work, port)
    gap = gap_of(deployment) if port is None else {}
    lifecycle.record(deployment, container_id=container.id, port=port, **gap)


def _what(deployment: Deployment) -> str:
    return deployment.pulled_image or deployment.short_commit


def start_others(work: Work) -> None:
    """Where the app has several containers: the rest of them, each once the one before works."""
    deployment = work.deployment
    for replica in range(2, work.app.replicas + 1):
        work.replica = replica
        container = _start_container(work, deployment.port)
        lifecycle.record(deployment, replica_ids=[*deployment.replica_ids, container.id])
        look_at(work)


def _start_container(work: Work, port: int | None) -> Container:
    app = work.app
    spec = planning.container_spec(
        work.deployment, port=port, variables=work.variables, held=work.held, replica=work.replica
    )
    at = "no port" if port is None else f"port {port}"
    work.say(f"Starting {spec.name}: {app.memory_mb} MB memory, {app.cpus} CPU, {at}")
    # `start` replaces a container of that name: it must not be that of whoever took this over.
    work.deadline(None, "Starting").check()
    return work.engine.containers.start(spec)


def switch(work: Work) -> None:
    """Point the public route at the new container and see that the proxy does so."""
    work.deadline(None, "Switching").check()
    lifecycle.move(work.deployment, Status.SWITCHING)
    move_traffic(work)
    _say_live(work)


def _say_live(work: Work) -> None:
    advance_branch(work)
    work.say(f"Live at {work.app.url}" if work.deployment.has_address else "Live, a worker")


def retire(deployment: Deployment) -> None:
    """Let old containers finish what they have, take them away with images no longer kept, then
    run the post-deploy command.

    May be repeated. The deployment, live by now, is let go of in the end; when the engine or the
    database fails it is not, and whoever finds its lease run out retires again.
    """
    lock = Path(settings.MIST_DATA_DIR) / "locks" / f"retire-{deployment.app_id}"
    with log_of(deployment) as log, lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        try:
            with file_lock(lock):
                _retire_patiently(work)
            after_going_live(work)
            lifecycle.let_go(deployment)
        except (EngineError, DatabaseError, Overtaken) as error:
            logger.warning("After deployment %s: %s", deployment.pk, error)


def _retire_patiently(work: Work) -> None:
    while True:
        try:
            _retire_containers(work)
            break
        except EngineAway:
            patience = Deadline(AWAY_SECONDS, cancelled=stopping.is_set)
            wait_for_engine(work.engine, patience)
    prune_images(work.app)


def _retire_containers(work: Work) -> None:
    containers = work.engine.containers
    for old in containers.list(labels=planning.app_labels(work.app)):
        if planning.is_command(old.labels):
            continue  # Whoever runs it, or the reconciliation, takes it away.
        facts = planning.owner_facts(old.labels)
        row = Deployment.objects.filter(pk=facts[1]).first() if facts else None
        # The next deployment of the app may have begun meanwhile: its container is not old.
        if row is not None and (row.is_unfinished or row.status == Status.LIVE):
            continue
        if row is not None:
            drain(work, row, old)
        containers.stop(old.id, timeout=settings.MIST_STOP_TIMEOUT)
        if facts is not None:
            keep_output(facts[1], old.id, planning.replica_of(old.labels))
        containers.remove(old.id)
        if row is not None:
            work.say(f"Deployment #{row.number} is replaced and its container removed")
