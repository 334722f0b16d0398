"""./mist deploy"""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.audit.trail import actor
from apps.deployments.logs import log_path, read_chunk
from apps.deployments.models import Deployment, PostDeploy, Status
from apps.deployments.services import deployment_request
from apps.sources.uploading import folder_upload
from apps.system.management.base import MistCommand, find_app, first_admin, mist_pid

POLL_SECONDS = 0.1


class Command(MistCommand):
    help = "Deploy an app: its branch's newest commit, its image, what --ref names, or a folder."
    json_output = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PROJECT/APP")
        what = parser.add_mutually_exclusive_group()
        what.add_argument(
            "--ref", default="", help="a branch, tag or 40-digit commit; an image's tag or digest"
        )
        what.add_argument(
            "--image", default="", help="of a ready image: its name with another tag or digest"
        )
        what.add_argument(
            "--from-dir",
            metavar="FOLDER",
            help="files of this server, without what its .gitignore names, as a new commit of an "
            "app that is pushed or uploaded to this Mist",
        )
        parser.add_argument("--no-cache", action="store_true", help="build every step anew")
        parser.add_argument("--wait", action="store_true", help="return when it is over")
        parser.add_argument("--follow", action="store_true", help="wait, and show its log")

    def handle(self, *args: Any, **options: Any) -> None:
        app = find_app(options["path"])
        check_running(options)
        if (folder := options["from_dir"]) is not None:
            deployment = folder_upload(
                app=app, folder=Path(folder), author=actor().name, requested_by=first_admin()
            )
            report(self, deployment, options)
            return
        deployment = deployment_request(
            app=app,
            requested_by=first_admin(),
            ref=options["ref"],
            image=options["image"],
            trigger=Deployment.Trigger.COMMAND,
            no_cache=options["no_cache"],
        )
        report(self, deployment, options)


def check_running(options: Mapping[str, Any]) -> bool:
    """Whether somebody works on the queue. Raises `CommandError` when nobody does and the person
    wants to wait."""
    running = mist_pid() is not None or bool(settings.REDIS_URL)
    if not running and (options["wait"] or options["follow"]):
        raise CommandError("Mist is not running, so nobody would deploy it. ./mist up")
    return running


def report(command: MistCommand, deployment: Deployment, options: Mapping[str, Any]) -> None:
    """Say that it is queued and, where `wait` or `follow` asks for it, how it ends."""
    quiet, waits = options["json"], options["wait"] or options["follow"]
    if not quiet:
        command.say(f"Deployment #{deployment.number} of {deployment.app} is queued.")
        if not check_running(options):
            command.say("Mist is not running: it is taken up after the next ./mist up.")
    if waits:
        watch(command, deployment, follow=options["follow"], quiet=quiet)
    deployment.refresh_from_db()
    if quiet:
        command.print_json(_facts(deployment))
    if waits and not _succeeded(deployment):
        if quiet:
            sys.exit(1)
        raise CommandError(_failure(deployment))
    if not quiet and _succeeded(deployment):
        app = deployment.app
        command.say(f"Live at {app.url}" if app.has_address else f"Live: {app}, a worker")
        if deployment.post_deploy == PostDeploy.FAILED:
            command.say(f"The post-deploy command failed. {deployment.post_deploy_failure}")


def watch(command: MistCommand, deployment: Deployment, *, follow: bool, quiet: bool) -> None:
    """Return when the deployment is over; show its log, or its stages, meanwhile."""
    offset = number = 0
    said = ""
    while True:
        deployment.refresh_from_db()
        over = not deployment.is_at_work
        if follow and not quiet:
            chunk = read_chunk(log_path(deployment.pk), offset=offset, number=number)
            offset, number = chunk.offset, chunk.number
            for line in chunk.lines:
                command.say(f"{line.stage:<9} {line.message}")
            if chunk.more:
                continue
        elif not quiet and deployment.status != said and not over:
            said = deployment.status
            command.say(f"{deployment.get_status_display()}…")
        if over:
            return
        if mist_pid() is None and not settings.REDIS_URL:
            raise CommandError("Mist was stopped. The deployment goes on after the next ./mist up.")
        time.sleep(POLL_SECONDS)


def _succeeded(deployment: Deployment) -> bool:
    return deployment.status in (Status.LIVE, Status.RETIRED)


def _failure(deployment: Deployment) -> str:
    parts = [
        f"Deployment #{deployment.number} {deployment.get_status_display().lower()}."
        if not deployment.failure
        else deployment.failure,
        deployment.failure_hint,
        deployment.failure_detail,
    ]
    return "\n".join(part for part in parts if part)


def _facts(deployment: Deployment) -> dict[str, Any]:
    return {
        "app": str(deployment.app),
        "number": deployment.number,
        "status": deployment.status,
        "commit": deployment.commit,
        "image": deployment.pinned_image,
        "failure": deployment.failure,
        "hint": deployment.failure_hint,
        "post_deploy": deployment.post_deploy,
        "post_deploy_failure": deployment.post_deploy_failure,
        "url": deployment.app.url,
    }
