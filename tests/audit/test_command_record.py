"""What a command does is recorded as the system's deed, by way of the command."""

from __future__ import annotations

from io import StringIO

import pytest
from django.core.management import call_command

from apps.audit.models import ActorKind, AuditEvent
from apps.audit.trail import MIST, actor
from apps.deployments.remaking import request_repair
from apps.engine.fake import FakeEngine
from apps.projects.models import App
from apps.system.management.base import on_command_line
from tests.deployments.test_deployment_run import deploy


def test_a_command_acts_as_who_typed_it(alice: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setenv("SUDO_USER", "carol")
    call_command("project_create", "depot", stdout=StringIO())
    event = AuditEvent.objects.get()
    assert (event.action, event.thing_name) == ("project.create", "depot")
    assert (event.actor_kind, event.actor_id) == (ActorKind.SYSTEM, None)
    assert (event.actor_name, event.via) == ("carol on the server", "./mist project_create")
    assert actor() is MIST


def test_sudo_is_believed_of_root_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1)
    monkeypatch.setenv("SUDO_USER", "carol")
    assert on_command_line("deploy").name == "daemon on the server"
    monkeypatch.setattr("os.geteuid", lambda: 54_321)
    assert on_command_line("deploy").name == "user 54321 on the server"


def test_what_mist_repairs_is_its_own_deed(fake: FakeEngine, web: App) -> None:
    live = deploy(web)
    assert request_repair(live)
    event = AuditEvent.objects.filter(action="deployment.request").order_by("id").last()
    assert event is not None
    assert (event.actor_kind, event.actor_name, event.via) == (ActorKind.SYSTEM, "Mist", "")
    assert event.after["trigger"] == "repair"
