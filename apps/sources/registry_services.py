"""Logins of a project for private registries, and questions to registries."""

from __future__ import annotations

import logging
from typing import Any

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.projects.models import App, Project
from apps.sources import tasks
from apps.sources.models import ImageCheck, RegistryCredential

logger = logging.getLogger("mist.sources")


def registry_save(
    *, project: Project, registry: str, username: str, password: str, created_by: User | None
) -> RegistryCredential:
    """Add a login for the (checked) registry, or write the one that is there anew."""
    with transaction.atomic():
        old = RegistryCredential.objects.filter(project=project, registry=registry).first()
        before = {} if old is None else facts(old, "username")
        made, _ = RegistryCredential.objects.update_or_create(
            project=project,
            registry=registry,
            defaults={
                "username": username,
                "secret": password,
                "created_at": timezone.now(),
                "created_by": created_by,
                "test_asked_at": None,
                "tested_at": None,
                "test_problem": "",
            },
        )
        record(
            "registry.add" if old is None else "registry.change",
            made,
            before=before,
            after=facts(made, "username"),
        )
    return made


def registry_remove(*, credential: RegistryCredential) -> None:
    """Its images can be pulled no more; what was pulled is kept and runs on."""
    with transaction.atomic():
        record("registry.remove", credential, before=facts(credential, "username"))
        credential.delete()


def registry_test(*, credential: RegistryCredential) -> None:
    """Have somebody ask the registry whether it takes the login; the row says so then."""
    with transaction.atomic():
        RegistryCredential.objects.filter(pk=credential.pk).update(test_asked_at=timezone.now())
        record("registry.test", credential, after=facts(credential, "username"))
        transaction.on_commit(lambda: _ask(tasks.try_registry, credential.pk))


def image_check(*, app: App) -> None:
    """Have somebody ask the registry what the app's image is by now."""
    with transaction.atomic():
        ImageCheck.objects.update_or_create(
            app=app, defaults={"image": app.image_name, "asked_at": timezone.now()}
        )
        record("image.check", app, after=facts(app, "image_name"))
        transaction.on_commit(lambda: _ask(tasks.check_image, app.pk))


def _ask(task: Any, pk: int) -> None:
    try:
        task.delay(pk)
    except Exception as error:
        # A question that is lost may be asked again after a minute.
        logger.warning("The broker does not answer: %r", error)
