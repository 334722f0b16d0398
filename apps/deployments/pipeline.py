"""One deployment, from the queue to live traffic.

`run` reads as the list of steps. Each step leaves an undo on the stack; when a later one fails,
the undos run in reverse and the version that was live before has served all the time.
"""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.utils import Error as DatabaseError

from apps.deployments import changes, events, lifecycle, planning
from apps.deployments.archive import keep_output
from apps.deployments.lifecycle import Overtaken
from apps.deployments.logs import BuildLog, log_path
from apps.deployments.models import UNFINISHED, Deployment, Status
from apps.deployments.selectors import live_deployment
from apps.domains.planning import router_name, routes_file
from apps.engine.base import Container, Engine
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.engine.errors import Cancelled, EngineError, HealthCheckFailed
from apps.engine.labels import probe_host
from apps.engine.locks import file_lock
from apps.engine.sources import find_dockerfile
from apps.projects.models import App, EnvironmentVariable

logger = logging.getLogger("mist.deployments")
HEARTBEAT_SECONDS = 5.0
PROBE_PAUSE = 0.2
STEADY_PAUSE = 2.0


@dataclass
class Work:
    """What the steps of one deployment share."""

    deployment: Deployment
    engine: Engine
    log: BuildLog
    undo: ExitStack
    variables: list[EnvironmentVariable] = field(default_factory=list)
    """As they were when the work began: the build and the container get the same."""

    def say(self, text: str) -> None:
        """Mist's own words in the log."""
        self.log.write(self.deployment.status, f"» {text}")

    def line(self, text: str) -> None:
        """A line of a tool's output."""
        self.log.write(self.deployment.status, text)

    def deadline(self, seconds: float | None, what: str) -> Deadline:
        return Deadline(
            seconds, what=what, cancelled=lambda: lifecycle.cancel_requested(self.deployment)
        )

    @property
    def app(self) -> App:
        return self.deployment.app

    @property
    def mirror(self) -> Path:
        return Path(settings.MIST_DATA_DIR) / "repos" / str(self.app.pk)

    @property
    def checkout(self) -> Path:
        return Path(settings.MIST_DATA_DIR) / "builds" / str(self.deployment.pk)


def run(deployment: Deployment) -> None:
    """Carry a claimed deployment to its end, whatever that is. Never raises for the outside."""
    with _log_of(deployment) as log, _lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        before: Deployment | None = None
        try:
            take_stock(work)
            if deployment.source_id is None:
                clone(work)
                build(work)
            start(work)
            check(work)
            before = switch(work)
        except Overtaken as error:
            logger.warning("%s", error)
            undo.pop_all()
            return
        except EngineError as error:
            _end_badly(work, error)
            return
        except Exception as error:
            logger.exception("Deployment %s failed inside Mist", deployment.pk)
            _end_badly(work, _own_fault(error))
            return
        retire(work, before)


def resume_switch(deployment: Deployment) -> None:
    """Finish a deployment whose owner died while traffic moved. The caller owns it by now."""
    with _log_of(deployment) as log, _lease(deployment), ExitStack() as undo:
        work = Work(deployment, get_engine(), log, undo)
        if deployment.source_id is None:
            undo.callback(_remove_image, work, deployment.image)
        undo.callback(_remove_container, work)
        try:
            work.say("Mist was restarted, going on with the switch")
            before = _move_traffic(work)
        except Overtaken:
            undo.pop_all()
            return
        except EngineError as error:
            _end_badly(work, error)
            return
        except Exception as error:
            logger.exception("Deployment %s failed inside Mist", deployment.pk)
            _end_badly(work, _own_fault(error))
            return
        retire(work, before)


# ----------------------------------------------------------------------------------------- steps


def take_stock(work: Work) -> None:
    """Read the variables once and record what this deployment is made from."""
    deployment, source = work.deployment, work.deployment.source
    if source is not None and deployment.takes_old_variables:
        work.variables = changes.unpack_variables(source.variables)
    else:
        work.variables = list(work.app.variables.all())
    made_from = changes.record(work.app, work.variables)
    if source is not None:
        made_from = changes.record_of_rollback(made_from, source.made_from)
    if deployment.takes_old_variables:
        # Not those of the app's last change: they are always to be compared.
        made_from["environment"] = ""
    lifecycle.record(
        deployment, made_from=made_from, variables=changes.pack_variables(work.variables)
    )


def clone(work: Work) -> None:
    """Fetch the commit and write its files. The commit recorded is the one that is built."""
    deployment, app = work.deployment, work.app
    deadline = work.deadline(settings.MIST_CLONE_TIMEOUT, "Cloning")
    ref = deployment.commit or deployment.ref
    work.say(f"Cloning {app.repository}, {ref}")
    found = work.engine.git.fetch(
        url=app.repository, mirror=work.mirror, ref=ref, log=work.line, deadline=deadline
    )
    lifecycle.record(
        deployment,
        commit=found.sha,
        commit_message=found.message[:500],
        commit_author=found.author[:200],
        committed_at=found.committed_at,
    )
    shutil.rmtree(work.checkout, ignore_errors=True)
    work.checkout.parent.mkdir(parents=True, exist_ok=True)
    work.undo.callback(shutil.rmtree, work.checkout, ignore_errors=True)
    work.engine.git.checkout(
        mirror=work.mirror, sha=found.sha, target=work.checkout, deadline=deadline
    )
    work.say(f"At {found.sha[:7]} {found.message}")


def build(work: Work) -> None:
    """Build the image; afterwards the checkout is gone."""
    deployment, app = work.deployment, work.app
    lifecycle.move(deployment, Status.BUILDING)
    context, dockerfile = find_dockerfile(work.checkout, app.root_directory, app.dockerfile)
    spec = planning.build_spec(
        deployment, context=context, dockerfile=dockerfile, variables=work.variables
    )
    work.say(f"Building {dockerfile.relative_to(work.checkout.resolve())}")
    work.undo.callback(_remove_image, work, spec.image)
    work.engine.containers.build(
        spec, log=work.line, deadline=work.deadline(settings.MIST_BUILD_TIMEOUT, "The build")
    )
    shutil.rmtree(work.checkout, ignore_errors=True)
    lifecycle.record(deployment, image=spec.image)


def start(work: Work) -> None:
    """Start the new container beside the old one, on the project's own network."""
    deployment, app = work.deployment, work.app
    containers = work.engine.containers
    if deployment.source is None:
        lifecycle.move(deployment, Status.STARTING)
    else:
        work.say(f"Rolling back to #{deployment.source.number}, {deployment.short_commit}")
    work.deadline(None, "Starting").check()
    port = planning.choose_port(app, containers.exposed_ports(deployment.image))
    spec = planning.container_spec(deployment, port=port, variables=work.variables)
    containers.ensure_network(spec.network, labels=planning.instance_labels())
    work.say(f"Starting {spec.name}: {app.memory_mb} MB memory, {app.cpus} CPU, port {port}")
    work.undo.callback(_remove_container, work)
    # `start` replaces a container of that name: it must not be that of whoever took this over.
    work.deadline(None, "Starting").check()
    container = containers.start(spec)
    lifecycle.record(deployment, container_id=container.id, port=port)


def check(work: Work) -> None:
    """Probe through the proxy until the app answers, or say why it never did."""
    deployment, app = work.deployment, work.app
    lifecycle.move(deployment, Status.CHECKING)
    limit = settings.MIST_HEALTH_TIMEOUT
    deadline = work.deadline(None, "The health check")
    patience = Deadline(limit)
    work.say(f"Checking GET {app.health_path} on port {deployment.port}, for up to {limit:.0f} s")
    attempts, said = 0, ""
    while True:
        attempts += 1
        answer = work.engine.proxy.probe(
            host=probe_host(deployment.container_name), path=app.health_path
        )
        if answer.healthy:
            work.line(
                f"Attempt {attempts}: HTTP {answer.status} after {answer.milliseconds:.0f} ms"
            )
            lifecycle.record(deployment, milliseconds=round(answer.milliseconds))
            return
        reason = answer.reason or f"HTTP {answer.status}"
        if reason != said:
            work.line(f"Attempt {attempts}: {reason}")
            said = reason
        _give_up_when_dead(work)
        if patience.remaining() <= 0:
            raise _unhealthy(work, attempts, reason)
        deadline.sleep(PROBE_PAUSE if attempts < 50 else STEADY_PAUSE)


def switch(work: Work) -> Deployment | None:
    """Point the public route at the new container and see that the proxy does so."""
    work.deadline(None, "Switching").check()
    lifecycle.move(work.deployment, Status.SWITCHING)
    return _move_traffic(work)


def retire(work: Work, before: Deployment | None) -> None:
    """Let the old container finish what it has, then take it away with images no longer kept."""
    work.say(f"Live at {work.app.url}")
    containers = work.engine.containers
    try:
        for old in containers.list(labels=planning.app_labels(work.app)):
            facts = planning.owner_facts(old.labels)
            row = Deployment.objects.filter(pk=facts[1]).first() if facts else None
            # The next deployment of the app may have begun meanwhile: its container is not old.
            if row is not None and (row.is_unfinished or row.status == Status.LIVE):
                continue
            if row is not None:
                _drain(work, row, old)
            containers.stop(old.id, timeout=settings.MIST_STOP_TIMEOUT)
            if facts is not None:
                keep_output(facts[1], old.id)
            containers.remove(old.id)
        if before is not None:
            work.say(f"Deployment #{before.number} is replaced and its container removed")
        prune_images(work.app)
    except (EngineError, DatabaseError) as error:
        # The new version serves; what is left over the next reconciliation takes away.
        logger.warning("After deployment %s: %s", work.deployment.pk, error)


def prune_images(app: App) -> None:
    """Keep the images of the live deployment, of the last few that were live, of those that are
    pinned, and of what a rollback waits for."""
    once_live = Deployment.objects.filter(app=app, status__in=(Status.LIVE, Status.RETIRED))
    rows = list(once_live.exclude(image="").order_by("-id").only("image", "status", "is_pinned"))
    wanted = set(
        Deployment.objects.filter(app=app, status__in=UNFINISHED, source__isnull=False).values_list(
            "source_id", flat=True
        )
    )
    kept = [
        row
        for place, row in enumerate(rows)
        if place <= settings.MIST_KEEP_IMAGES or row.is_pinned or row.pk in wanted
    ]
    images = {row.image for row in kept}
    for old in rows:
        if old not in kept and old.status == Status.RETIRED:
            # A rollback runs the image of an older deployment.
            if old.image not in images:
                get_engine().containers.remove_image(old.image)
            Deployment.objects.filter(pk=old.pk).update(image="", made_from=None, variables="")


def route_lock(app: App) -> AbstractContextManager[None]:
    """Whoever reads which deployment is live and then writes the route holds this meanwhile."""
    return file_lock(Path(settings.MIST_DATA_DIR) / "locks" / f"routes-{app.pk}")


def publish_routes(app: App) -> None:
    """Write the app's route file from the database: to what is live, or none."""
    proxy = get_engine().proxy
    with route_lock(app):
        live = live_deployment(app)
        if live is None:
            proxy.remove_routes(str(app.pk))
        else:
            proxy.write_routes(str(app.pk), routes_file(app, service=live.service))


def take_back_routes(app: App) -> None:
    """After a switch that did not end well: traffic goes to what is live, and what it may have
    reached meanwhile can be taken away once this returns."""
    publish_routes(app)
    live = live_deployment(app)
    if live is None:
        return
    try:
        get_engine().proxy.wait_for_route(
            router=router_name(app),
            service=live.service,
            deadline=Deadline(5, what="Switching back"),
        )
    except EngineError as error:
        # Without a proxy there is no traffic either; it reads the file when it comes.
        logger.warning("App %s: %s", app, error.sentence)


# ------------------------------------------------------------------------------------------ parts


def _move_traffic(work: Work) -> Deployment | None:
    deployment, app, proxy = work.deployment, work.app, work.engine.proxy
    with route_lock(app):
        # From the database, not the file as it was: after a crash that leads here already.
        work.undo.callback(_restore_routes, work)
        proxy.write_routes(str(app.pk), routes_file(app, service=deployment.service))
        proxy.wait_for_route(
            router=router_name(app),
            service=deployment.service,
            deadline=work.deadline(15, "Switching traffic"),
        )
        before = lifecycle.go_live(deployment)
        # It is live: whatever fails from here on undoes nothing.
        work.undo.pop_all()
    events.app_changed(app_id=app.pk)
    return before


def _drain(work: Work, before: Deployment, old: Container) -> None:
    """New requests go elsewhere by now; those in progress get some time to end."""
    patience = settings.MIST_DRAIN_SECONDS
    address = old.addresses.get(planning.network_name(work.app.project))
    if (
        address
        and before.port
        and not work.engine.proxy.drain(address=address, port=before.port, patience=patience)
    ):
        work.say(f"Requests to #{before.number} were still in progress after {patience:.0f} s")


def _restore_routes(work: Work) -> None:
    take_back_routes(work.app)
    # Requests that came to the new version in between get their answer.
    deployment = work.deployment
    container = work.engine.containers.inspect(deployment.container_id)
    if container is not None:
        _drain(work, deployment, container)


def _remove_container(work: Work) -> None:
    for container in work.engine.containers.list(
        labels=planning.deployment_labels(work.deployment)
    ):
        if work.deployment.status not in (Status.CLONING, Status.BUILDING):
            keep_output(work.deployment.pk, container.id)
        work.engine.containers.remove(container.id)


def _remove_image(work: Work, image: str) -> None:
    work.engine.containers.remove_image(image)
    lifecycle.record(work.deployment, image="")


def _give_up_when_dead(work: Work) -> None:
    container = work.engine.containers.inspect(work.deployment.container_id)
    if container is None:
        raise HealthCheckFailed(
            "The container was removed while it was checked.", hint="Deploy again."
        )
    ended = container.exit_code is not None and container.status not in ("running", "created")
    if not ended and container.restarts < 2:
        return
    raise _ended(work, container)


def _ended(work: Work, container: Container) -> HealthCheckFailed:
    code = "" if container.exit_code is None else f" with exit code {container.exit_code}"
    sentence = f"The app ended{code} instead of answering."
    hint = "Read its last lines: a missing variable or a wrong start command are the usual causes."
    if container.out_of_memory:
        sentence = f"The app ended{code} because it used more memory than it may."
        hint = "Raise the memory limit in the app's settings."
    elif container.exit_code in (126, 127):
        # What a shell and the container's init say of a command that is none.
        sentence = (
            "The start command does not exist in the image, or may not be run "
            f"(exit code {container.exit_code})."
        )
        hint = "Check CMD and ENTRYPOINT in the Dockerfile."
    return HealthCheckFailed(sentence, hint=hint, detail=_last_lines(work))


def _unhealthy(work: Work, attempts: int, reason: str) -> HealthCheckFailed:
    app, port = work.app, work.deployment.port
    if "listen" in reason or "refused" in reason:
        sentence = f"The app did not listen on port {port} within the time limit."
        hint = (
            f"Let it listen on 0.0.0.0:{port} (Mist sets PORT={port}), or set the port it uses "
            "in the app's settings."
        )
    else:
        sentence = f"The health check GET {app.health_path} failed {attempts} times: {reason}."
        hint = "Find the cause in its last lines, or set another health check path."
    return HealthCheckFailed(sentence, hint=hint, detail=_last_lines(work))


def _last_lines(work: Work) -> str:
    try:
        lines = work.engine.containers.logs(work.deployment.container_id, tail=20)
    except EngineError:
        return ""
    for text in lines:
        work.line(text)
    return "\n".join(lines)


def _own_fault(error: Exception) -> EngineError:
    return EngineError(
        f"Mist itself failed ({type(error).__name__}).",
        hint="The server's log holds the details. Deploy again.",
    )


def _end_badly(work: Work, error: EngineError) -> None:
    """Undo, then write the reason; an undo that fails is left to the reconciliation."""
    deployment = work.deployment
    stage = deployment.status
    work.say(error.sentence)
    try:
        work.undo.close()
    except (EngineError, Overtaken, DatabaseError) as problem:
        logger.warning("Undo of deployment %s: %s", deployment.pk, problem)
    try:
        if isinstance(error, Cancelled):
            lifecycle.move(deployment, Status.CANCELLED, failed_stage=stage, container_id="")
            return
        lifecycle.move(
            deployment,
            Status.FAILED,
            failed_stage=stage,
            container_id="",
            failure=error.sentence[:500],
            failure_hint=error.hint,
            failure_detail=error.detail[-8000:],
        )
    except (Overtaken, DatabaseError) as problem:
        # Without a database the lease runs out, and the recovery finds it.
        logger.warning("%s", problem)


def _log_of(deployment: Deployment) -> BuildLog:
    return BuildLog(
        log_path(deployment.pk),
        nudge=lambda: events.log_grew(deployment_id=deployment.pk),
    )


@contextmanager
def _lease(deployment: Deployment) -> Iterator[None]:
    """Renew the lease every few seconds from a thread of its own."""
    done = threading.Event()

    def renew() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            try:
                lifecycle.heartbeat(deployment)
            except DatabaseError as error:
                logger.warning("Lease of deployment %s: %s", deployment.pk, error)
                connection.close()
        connection.close()

    thread = threading.Thread(target=renew, name=f"lease-{deployment.pk}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
