"""Setting a fresh Mist up, once, and the demo that it comes with."""

from __future__ import annotations

import hmac
import itertools
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.db import transaction

from apps.accounts.models import User
from apps.accounts.selectors import anyone_exists
from apps.audit.trail import facts, record
from apps.deployments.models import Deployment
from apps.deployments.services import deployment_request
from apps.engine.locks import file_lock
from apps.projects.models import App, Project
from apps.projects.services import app_create, app_update, project_create
from apps.system.planning import local_url, remember_name

SAMPLE_PATH = "/samples/hello.git"


def _token_file() -> Path:
    return Path(settings.MIST_DATA_DIR) / "setup-token"


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Of two people with the link, one makes the account and the other finds it made."""
    with file_lock(Path(settings.MIST_DATA_DIR) / "locks" / "setup"):
        yield


def setup_token() -> str | None:
    """The secret of the set-up link, made when it is first asked for; None once there is a user."""
    if anyone_exists():
        return None
    with _one_at_a_time():
        return _read_token() or _make_token()


def _read_token() -> str:
    try:
        return _token_file().read_text().strip()
    except FileNotFoundError:
        return ""


def _make_token() -> str:
    token = secrets.token_urlsafe(24)
    handle = os.open(_token_file(), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as file:
        file.write(f"{token}\n")
    return token


def is_setup_token(token: str) -> bool:
    """Whether this is the token of a Mist that nobody has set up yet."""
    right = "" if anyone_exists() else _read_token()
    return bool(right) and hmac.compare_digest(token.encode(), right.encode())


def setup_claim(*, token: str, email: str, name: str, password: str, host: str = "") -> User | None:
    """Make the first administrator, once. None when the token is not right (any more). `host`, by
    which they came, is a name of Mist's from now on."""
    with _one_at_a_time():
        if not is_setup_token(token):
            return None
        user = _administrator(email, name, password, "instance.claim")
        remember_name(host)
        return user


def administrator_create(*, email: str, name: str, password: str) -> User:
    """Make an administrator; the set-up link ends with the first one. Raises `IntegrityError`
    when the address has an account already."""
    with _one_at_a_time():
        return _administrator(email, name, password, "user.create")


def _administrator(email: str, name: str, password: str, action: str) -> User:
    with transaction.atomic():
        user = User.objects.create_superuser(email, password, name=name)
        record(action, user, name=email, after=facts(user, "email", "name", "role"))
    _token_file().unlink(missing_ok=True)
    return user


def demo_start(*, requested_by: User | None) -> Deployment:
    """Deploy the sample that comes with Mist, as demo/hello; making both where they are missing.

    A project or app of these names that is somebody's own is left alone.
    """
    with transaction.atomic():
        project = Project.objects.filter(slug="demo").first() or project_create(
            slug="demo", created_by=requested_by
        )
        app = _demo_app(project, requested_by)
    return deployment_request(app=app, requested_by=requested_by, trigger=Deployment.Trigger.DEMO)


def _demo_app(project: Project, requested_by: User | None) -> App:
    repository = local_url() + SAMPLE_PATH
    slugs = itertools.chain(["hello"], (f"hello-{n}" for n in itertools.count(2)))
    for slug in slugs:
        app = App.objects.filter(project=project, slug=slug).first()
        if app is None:
            return app_create(
                project=project,
                slug=slug,
                repository=repository,
                created_by=requested_by,
                port=8000,
                health_path="/healthz",
            )
        if app.deleted_at is None and app.repository.endswith(SAMPLE_PATH):
            # Mist may listen on another port than it did when the demo was made.
            return app_update(app=app, repository=repository)
    raise AssertionError("counting ends with a free name")
