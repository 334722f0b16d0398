"""What people ask of deployments and running apps: record the wish, queue the work."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, Q, QuerySet
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments import events, lifecycle, queueing
from apps.deployments.changes import same_source
from apps.deployments.image_wishes import refuse_image, wished_image
from apps.deployments.models import PUSHED, RUNNING, Deployment, Status
from apps.deployments.selectors import deployments_of, live_deployment, unfinished_deployment
from apps.deployments.tasks import apply_wishes, run_deployments, wake
from apps.engine.image_names import ImageName
from apps.engine.sources import check_ref
from apps.projects.models import App
from apps.projects.source_models import OnPush, SourceKind

_UPLOAD = Deployment.Trigger.UPLOAD
_OF_REQUEST = ("trigger", "ref", "commit", "no_cache", "wanted_image")


def deployment_request(
    *,
    app: App,
    requested_by: User | None,
    ref: str = "",
    trigger: str = Deployment.Trigger.MANUAL,
    no_cache: bool = False,
    commit: str = "",
    commit_message: str = "",
    commit_author: str = "",
    commit_url: str = "",
    image: str = "",
    action: str = "deployment.request",
) -> Deployment:
    """Queue a deployment of `ref` (the app's branch when empty), or of the very `commit` that an
    earlier deployment, or a push, found there. Of an app that is a ready image `ref` is a tag or a
    digest (the app's own when empty), and `image` its whole name.

    An older request for the same that still waits is skipped: this one takes its place, and builds
    without the cache where that one was to. A push takes that of every push that waits, and where
    the app says so it cancels what is at work.
    `action` is what the audit trail calls it.
    Raises `InvalidSource` for a ref that is none.
    """
    wished = _wished_image(app, ref, commit, image)
    if wished is not None:
        wanted = wished.version
    else:
        wanted = check_ref(ref) if ref else app.branch
    with transaction.atomic():
        deployment = queueing.create(
            app,
            ref=wanted,
            trigger=trigger,
            requested_by=requested_by,
            no_cache=no_cache and wished is None,
            commit=commit,
            commit_message=commit_message[:500],
            commit_author=commit_author[:200],
            commit_url=commit_url[:500],
            wanted_image="" if wished is None else str(wished),
        )
        # Locked, so that no worker takes one in between.
        for waiting in _older(deployment).select_for_update():
            lifecycle.move(waiting, Status.SKIPPED, failure=f"#{deployment.number} took its place.")
            if waiting.no_cache and wished is None and not deployment.no_cache:
                deployment.no_cache = True
                deployment.save(update_fields=["no_cache"])
        record(action, deployment, after=facts(deployment, *_OF_REQUEST))
        if trigger in PUSHED and app.on_push == OnPush.CANCEL:
            _cancel_at_work(deployment)
        _queued(deployment)
    return deployment


def _older(deployment: Deployment) -> QuerySet[Deployment]:
    """What waits and need not be built, now that this one is."""
    waiting = Deployment.objects.filter(
        app=deployment.app, status=Status.QUEUED, source=None, pk__lt=deployment.pk
    )
    # What waits for the tip of a branch would find this commit or a later one; who asked for
    # another commit, or for an image by its digest, gets it.
    same = Q(ref=deployment.ref, commit__in=("", deployment.commit))
    if deployment.wanted_image:
        same &= Q(wanted_image=deployment.wanted_image)
    if deployment.trigger in PUSHED:
        return waiting.filter(Q(trigger__in=PUSHED) | same)
    if deployment.commit:
        return waiting.filter(same, commit=deployment.commit)
    return waiting.filter(same | Q(ref=deployment.ref, trigger__in=(*PUSHED, _UPLOAD)))


def _cancel_at_work(newer: Deployment) -> None:
    """A rollback goes on: it takes seconds, and somebody waits for it."""
    at_work = Deployment.objects.filter(app=newer.app, status__in=RUNNING, source=None)
    for deployment in at_work.filter(cancel_requested_at=None):
        if deployment_cancel(deployment=deployment, by=None):
            note = f"#{newer.number} took its place."
            Deployment.objects.filter(pk=deployment.pk).update(failure=note)


def _wished_image(app: App, ref: str, commit: str, image: str) -> ImageName | None:
    """None for an app that is built. Raises `InvalidSource`."""
    if app.source_kind == SourceKind.IMAGE:
        return wished_image(app, version=ref, commit=commit, image=image)
    if image:
        refuse_image(app)
    return None


def changes_apply(*, app: App, requested_by: User | None) -> Deployment:
    """Bring what is set for the app into its running version, with the code it has.

    The commit of the deployment at work, else of the live one, is deployed again; the branch
    where repository or branch are others now. One that still waits takes all up by itself.
    """
    waiting = deployments_of(app).filter(status=Status.QUEUED).first()
    if waiting is not None:
        return waiting
    base = unfinished_deployment(app) or live_deployment(app)
    ref = commit = url = image = ""
    if base is not None and base.made_from is not None and same_source(base.made_from, app):
        if base.wanted_image:
            image = base.pinned_image
        else:
            ref, commit, url = base.ref, base.commit, base.commit_url
    return deployment_request(
        app=app,
        requested_by=requested_by,
        ref=ref,
        commit=commit,
        commit_url=url,
        image=image,
        action="deployment.apply",
    )


class NotKept(Exception):
    """The deployment was never live, or its image is gone."""


def deployment_rollback(
    *,
    to: Deployment,
    requested_by: User | None,
    old_variables: bool = False,
    trigger: str = Deployment.Trigger.ROLLBACK,
) -> Deployment:
    """Queue a deployment that runs the image of `to` again, with the app's settings of now and its
    variables of now, or of then when `old_variables` is set. Raises `NotKept`."""
    with transaction.atomic():
        # Locked, so that its image is not let go of at the same moment.
        Deployment.objects.select_for_update().only("pk").get(pk=to.pk)
        fresh = Deployment.objects.select_related("app").get(pk=to.pk)
        if not fresh.can_be_rolled_back_to:
            raise NotKept(f"The image of #{fresh.number} is no longer kept. Deploy its commit.")
        deployment = queueing.create(
            fresh.app,
            ref=fresh.ref,
            trigger=trigger,
            requested_by=requested_by,
            source=fresh,
            takes_old_variables=old_variables,
            image=fresh.image,
            wanted_image=fresh.wanted_image,
            pulled_image=fresh.pulled_image,
            commit=fresh.commit,
            commit_message=fresh.commit_message,
            commit_author=fresh.commit_author,
            commit_url=fresh.commit_url,
            committed_at=fresh.committed_at,
        )
        old = facts(deployment, "takes_old_variables", "commit")
        record("deployment.rollback", deployment, after={"to": f"#{fresh.number}", **old})
        _queued(deployment)
    return deployment


def deployment_pin(*, deployment: Deployment, pinned: bool) -> None:
    """Keep its image however many deployments come after it, or no longer."""
    with transaction.atomic():
        Deployment.objects.filter(pk=deployment.pk).update(is_pinned=pinned)
        record("deployment.pin" if pinned else "deployment.unpin", deployment)
    events.deployment_changed(deployment_id=deployment.pk, app_id=deployment.app_id)


def _queued(deployment: Deployment) -> None:
    ids = {"deployment_id": deployment.pk, "app_id": deployment.app_id}
    transaction.on_commit(lambda: wake(run_deployments))
    transaction.on_commit(lambda: events.deployment_changed(**ids))


def deployment_cancel(*, deployment: Deployment, by: User | None) -> bool:
    """Ask it to end. False when it was over already."""
    with transaction.atomic():
        was = deployment.status
        cancelled = lifecycle.cancel(deployment, by=by)
        if cancelled:
            record("deployment.cancel", deployment, before={"status": was})
    return cancelled


def app_stop(*, app: App) -> None:
    """The container is stopped and stays where it is."""
    _wish(app, "app.stop", wanted=App.Wanted.STOPPED)


def app_start(*, app: App) -> None:
    """The stopped container runs again, one too that ended by itself before it was stopped."""
    stopped = App.objects.filter(pk=app.pk, wanted=App.Wanted.STOPPED).exists()
    _wish(app, "app.start", wanted=App.Wanted.RUNNING, start_requested=stopped)


def app_restart(*, app: App) -> None:
    """The same container, stopped and started."""
    _wish(app, "app.restart", wanted=App.Wanted.RUNNING, restart_requested=True)


def app_delete(*, app: App) -> None:
    """The app disappears from every page at once; containers, images, network, files and rows
    follow."""
    _wish(app, "app.delete", deleted=True)


def app_publish(*, app: App) -> None:
    """Its host names have changed: write its routes again. Whoever changed them records that."""
    _wish(app, "")


def _wish(
    app: App,
    action: str,
    *,
    wanted: str = "",
    start_requested: bool = False,
    restart_requested: bool = False,
    deleted: bool = False,
) -> None:
    fields: dict[str, object] = {"needs_apply": True, "wishes": F("wishes") + 1}
    if wanted:
        fields["wanted"] = wanted
    if start_requested:
        fields["start_requested"] = True
    if restart_requested:
        fields["restart_requested"] = True
    if deleted:
        fields["deleted_at"] = timezone.now()
    with transaction.atomic():
        App.objects.filter(pk=app.pk).update(**fields)
        if wanted == App.Wanted.STOPPED:
            queueing.keep_stopped(app)
        if action:
            before = facts(app, "repository", "branch") if deleted else {}
            record(action, app, before=before)
        transaction.on_commit(lambda: wake(apply_wishes))
    app.refresh_from_db()
