"""Uploads: an archive, or a folder of this server, becomes a commit and is deployed."""

from __future__ import annotations

import shutil
import time
import uuid
from pathlib import Path
from typing import IO

from django.conf import settings

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_request
from apps.engine.deadline import Deadline
from apps.engine.errors import InvalidSource
from apps.engine.git_errors import disk_errors_explained
from apps.engine.kept import Author, kept
from apps.engine.unpacking import unpack
from apps.projects.models import App
from apps.projects.selectors import kept_path
from apps.projects.source_models import SourceKind

MEGABYTE = 1024 * 1024
UNPACKED = 4
"""How many times as large as an archive may be what is in it."""
SECONDS = 600.0
LEFT_SECONDS = 86_400.0


def upload_limit() -> int:
    """Bytes that an archive may have."""
    return int(settings.MIST_UPLOAD_LIMIT_MB) * MEGABYTE


def archive_upload(*, app: App, archive: IO[bytes], name: str, by: User) -> Deployment:
    """Make what is in the archive the newest commit of the app's branch, in place of everything
    that was there, and queue its deployment. Raises `InvalidSource`, `CloneFailed`, `OutOfDisk`."""
    incoming = Path(settings.MIST_DATA_DIR) / "incoming"
    _forget_old(incoming)
    folder = incoming / f"archive-{uuid.uuid4().hex}"
    try:
        with disk_errors_explained("unpack the archive"):
            root = unpack(archive, folder, most=upload_limit() * UNPACKED)
        author = Author(by.name, by.email)
        return _commit(app, root, author, f"Upload of {_shown(name)}", by, ignore=False)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def folder_upload(*, app: App, folder: Path, author: str, requested_by: User | None) -> Deployment:
    """As `archive_upload`, with a folder of this server; what a `.gitignore` in it names, and Git's
    own folder, stay out."""
    if not folder.is_dir():
        raise InvalidSource(f"There is no folder {folder}.")
    who = Author(author, "")
    message = f"Upload of {_shown(folder.resolve().name or '/')}"
    return _commit(app, folder.resolve(), who, message, requested_by, ignore=True)


def _commit(
    app: App, folder: Path, author: Author, message: str, by: User | None, *, ignore: bool
) -> Deployment:
    if app.source_kind != SourceKind.MIST:
        raise InvalidSource(
            f"{app} does not come from uploads. Choose “{SourceKind.MIST.label}” on its tab Source "
            "first."
        )
    deadline = Deadline(SECONDS, what="The upload")
    with kept(kept_path(app), branch=app.branch, deadline=deadline) as repository:
        commit = repository.commit_folder(
            folder, branch=app.branch, author=author, message=message, ignore=ignore
        )
        return deployment_request(
            app=app,
            requested_by=by,
            ref=app.branch,
            commit=commit,
            trigger=Deployment.Trigger.UPLOAD,
        )


def _shown(name: str) -> str:
    """A file's name as one line of a commit message."""
    return " ".join(name.split())[:100] or "an archive"


def _forget_old(incoming: Path) -> None:
    """What a Mist left that was killed while it unpacked."""
    for left in incoming.glob("archive-*"):
        if time.time() - left.stat().st_mtime > LEFT_SECONDS:
            shutil.rmtree(left, ignore_errors=True)
