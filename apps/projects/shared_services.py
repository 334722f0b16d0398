"""Making, changing and revealing the variables that a project's apps share."""

from __future__ import annotations

import functools
from collections.abc import Iterable

from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments import events
from apps.projects.models import App, Project, SharedVariable
from apps.projects.selectors import users_of_shared


def shared_variable_save(
    *,
    project: Project,
    name: str,
    value: str | None,
    is_locked: bool,
    changed_by: User | None,
) -> SharedVariable:
    """Add a (checked) variable or change it; `value` None keeps its value. One that is locked stays
    so. The apps that use it have a change that is not live then."""
    with transaction.atomic():
        found = SharedVariable.objects.filter(project=project, name=name).first()
        variable = found or SharedVariable(project=project, name=name)
        before = {"locked": variable.is_locked}
        is_new_value = found is None or (value is not None and value != variable.value)
        if value is not None:
            variable.value = value
        variable.is_locked = variable.is_locked or is_locked
        variable.changed_by, variable.changed_at = changed_by, timezone.now()
        variable.save()
        record(
            "shared_variable.create" if found is None else "shared_variable.update",
            variable,
            before=before if found else {},
            after={"locked": variable.is_locked} | ({"value": "changed"} if is_new_value else {}),
        )
        if is_new_value:
            _tell(users_of_shared(project).get(name, ()))
    return variable


def shared_variable_delete(*, variable: SharedVariable) -> None:
    """Whatever refers to it can be deployed again only when it does so no more."""
    with transaction.atomic():
        users = users_of_shared(variable.project).get(variable.name, ())
        record("shared_variable.delete", variable)
        variable.delete()
        _tell(users)


def shared_variable_reveal(*, variable: SharedVariable) -> None:
    """Note that the value is shown to whoever acts."""
    record("shared_variable.reveal", variable)


def environment_export(*, app: App, names: Iterable[str]) -> None:
    """Note that the values of these variables are handed to whoever acts."""
    record("environment.export", app, after={"names": list(names)})


def _tell(apps: Iterable[App]) -> None:
    for app in apps:
        app.environment_changed_at = timezone.now()
        app.save(update_fields=["environment_changed_at"])
        transaction.on_commit(functools.partial(events.app_changed, app_id=app.pk))
