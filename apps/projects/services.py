"""Making and changing projects, apps and variables. Every write is one function, and leaves its
event in the audit trail."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils import timezone

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments import events
from apps.projects.models import App, EnvironmentVariable, HostPort, Project, Volume, address_label
from apps.system.names import base_domain, dashboard_names

_OF_PORT = ("container_port", "reach")
LOWEST_PORT = 1024
"""Of the server's ports, that apps may have: below are those of the system itself."""


def project_create(*, slug: str, created_by: User | None) -> Project:
    """A project of that (already checked) name, owned by who makes it. Raises `IntegrityError`
    when the name is taken."""
    with transaction.atomic():
        project = Project.objects.create(slug=slug, created_by=created_by, owner=created_by)
        record("project.create", project)
    return project


def project_delete(*, project: Project) -> bool:
    """Remove a project that has no apps; False, and nothing done, when it has any, be it one that
    is still being deleted."""
    with transaction.atomic():
        if App.objects.filter(project=project).exists():
            return False
        record("project.delete", project)
        project.delete()
    return True


def app_create(
    *,
    project: Project,
    slug: str,
    repository: str,
    created_by: User | None,
    variables: Mapping[str, str] | None = None,
    **settings: Any,
) -> App:
    """An app with checked settings (branch, root_directory, dockerfile, port, health_path …).

    Raises `IntegrityError` when the project has an app of that name.
    """
    with transaction.atomic():
        label = address_label(project.slug, slug)
        is_mists = f"{label}.{base_domain()}" in dashboard_names()
        if is_mists or App.objects.filter(label=label).exists():
            label = address_label(project.slug, slug, salt=str(project.pk))
        app = App.objects.create(
            project=project,
            slug=slug,
            label=label,
            repository=repository,
            created_by=created_by,
            **settings,
        )
        chosen = [name for name, value in settings.items() if value != getattr(App(), name)]
        record("app.create", app, after=facts(app, "repository", "branch", *chosen))
        variables_save(app=app, values=variables or {}, changed_by=created_by)
    return app


def app_update(*, app: App, **settings: Any) -> App:
    """Change settings; they count from the next deployment on."""
    with transaction.atomic():
        old = App.objects.select_for_update().get(pk=app.pk)
        moved = settings.get("repository", old.repository) != old.repository
        # Another repository has another number at its host, which the next push tells.
        for name, value in (settings | ({"repository_id": ""} if moved else {})).items():
            setattr(app, name, value)
        app.save(update_fields=[*settings, *(["repository_id"] if moved else [])])
        before, after = facts(old, *settings), facts(app, *settings)
        if before != after:
            record("app.update", app, before=before, after=after)
        _announce(app)
    return app


def variables_save(
    *,
    app: App,
    values: Mapping[str, str],
    changed_by: User | None,
    at_runtime: bool = True,
    at_build: bool = False,
    is_locked: bool = False,
    remove_others: bool = False,
) -> int:
    """Add and change variables, optionally removing those not named but for locked ones, which no
    .env has. Returns how many changed.

    A variable that exists keeps where it is used and whether it is locked; only its value changes.
    """
    with transaction.atomic():
        known = {v.name: v for v in app.variables.all()}
        changed = 0
        for name, value in values.items():
            old = known.get(name)
            if old is None:
                new = EnvironmentVariable.objects.create(
                    app=app,
                    name=name,
                    value=value,
                    at_runtime=at_runtime,
                    at_build=at_build,
                    is_locked=is_locked,
                    changed_by=changed_by,
                )
                _record_variable("variable.create", new, after={"used": new.scope})
            elif old.value != value:
                old.value, old.changed_by, old.changed_at = value, changed_by, timezone.now()
                old.save(update_fields=["value", "changed_by", "changed_at"])
                _record_variable("variable.change", old, after={"value": "another one"})
            else:
                continue
            changed += 1
        if remove_others:
            for gone in app.variables.exclude(name__in=list(values)).exclude(is_locked=True):
                _record_variable("variable.delete", gone, before={"used": gone.scope})
                gone.delete()
                changed += 1
        if changed:
            _environment_changed(app)
    return changed


def _record_variable(
    action: str,
    variable: EnvironmentVariable,
    *,
    before: Mapping[str, str] | None = None,
    after: Mapping[str, str] | None = None,
) -> None:
    """Its name, its app and where it is used; never its value."""
    name = f"{variable.app} {variable.name}"
    record(action, variable, name=name, before=before, after=after)


def variable_reveal(*, variable: EnvironmentVariable) -> str:
    """The value, for a person to see: that they did is written down first."""
    _record_variable("variable.reveal", variable)
    return variable.value


def variable_change(
    *,
    variable: EnvironmentVariable,
    value: str | None,
    at_runtime: bool,
    at_build: bool,
    changed_by: User,
    is_locked: bool = False,
) -> None:
    """Change one variable; `value` None keeps the value. One that is locked stays so."""
    with transaction.atomic():
        before, after = {"used": variable.scope}, dict[str, str]()
        if value is not None:
            variable.value, after["value"] = value, "another one"
        variable.at_runtime, variable.at_build = at_runtime, at_build
        variable.is_locked = variable.is_locked or is_locked
        variable.changed_by, variable.changed_at = changed_by, timezone.now()
        variable.save()
        after["used"] = variable.scope
        _record_variable("variable.change", variable, before=before, after=after)
        _environment_changed(variable.app)


def variable_delete(*, variable: EnvironmentVariable) -> None:
    with transaction.atomic():
        _record_variable("variable.delete", variable, before={"used": variable.scope})
        variable.delete()
        _environment_changed(variable.app)


def volume_add(*, app: App, name: str, path: str, created_by: User | None) -> Volume:
    """One more volume (with a checked name and path), mounted from the next deployment on. The
    data of an earlier one of that name is there again.

    Raises `IntegrityError` when the app has one of that name or at that path.
    """
    with transaction.atomic():
        volume = Volume.objects.create(app=app, name=name, path=path, created_by=created_by)
        record("volume.add", volume, name=f"{app} {volume}", after=facts(volume, "path"))
        _environment_changed(app)
    return volume


def volume_remove(*, volume: Volume) -> None:
    """From the next deployment on it is not mounted any more. Its data stays."""
    with transaction.atomic():
        name = f"{volume.app} {volume}"
        record("volume.remove", volume, name=name, before=facts(volume, "path"))
        volume.delete()
        _environment_changed(volume.app)


def may_open_low_ports(user: User | None) -> bool:
    """Whether the person may give an app a port of the server below `LOWEST_PORT`: an owner, where
    the instance allows it."""
    return bool(settings.MIST_HOST_PORTS_BELOW_1024 and user is not None and user.is_owner)


def host_port_add(
    *,
    app: App,
    port: int,
    protocol: str,
    container_port: int,
    reach: str,
    created_by: User | None,
) -> HostPort:
    """Lead one more (checked) port of the server to the app, from the next deployment on.

    Raises `IntegrityError` when an app of this Mist has it, `PermissionDenied` for one below
    `LOWEST_PORT` that the person may not open.
    """
    if port < LOWEST_PORT and not may_open_low_ports(created_by):
        raise PermissionDenied(f"Ports below {LOWEST_PORT} are the server's own.")
    with transaction.atomic():
        found = HostPort.objects.create(
            app=app,
            port=port,
            protocol=protocol,
            container_port=container_port,
            reach=reach,
            created_by=created_by,
        )
        record("host_port.add", found, name=f"{app} {found}", after=facts(found, *_OF_PORT))
        _environment_changed(app)
    return found


def host_port_remove(*, host_port: HostPort) -> None:
    """Another app may have it at once; the running version lets it go at the next deployment."""
    with transaction.atomic():
        name = f"{host_port.app} {host_port}"
        record("host_port.remove", host_port, name=name, before=facts(host_port, *_OF_PORT))
        host_port.delete()
        _environment_changed(host_port.app)


def _environment_changed(app: App) -> None:
    """What a container gets beside the app's settings: variables, volumes, ports."""
    app.environment_changed_at = timezone.now()
    app.save(update_fields=["environment_changed_at"])
    _announce(app)


def _announce(app: App) -> None:
    """Open pages of the app say what is not live yet."""
    transaction.on_commit(lambda: events.app_changed(app_id=app.pk))
