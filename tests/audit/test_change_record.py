"""Every address that changes or reveals something leaves its event, and the right one.

The table says what each leaves. An address that takes a POST and is missing here fails, and so does
one that says it changes nothing and does.
"""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.test import Client
from django.urls import reverse

from apps.accounts.models import User
from apps.audit.models import ActorKind, AuditEvent
from apps.audit.planning import ACTIONS
from apps.audit.trail import record
from apps.deployments.models import Status
from apps.domains.services import domain_add
from apps.engine.fake import FakeEngine
from apps.projects import services
from apps.projects.models import App, Project
from tests.access.test_every_address import addresses
from tests.audit.posts import POSTS, SECRET, Post, form_of_settings, nobody_yet
from tests.conftest import PASSWORD
from tests.deployments.test_deployment_run import deploy

UNSEEN = {"session", "usersession", "allowance", "auditevent", "migration", "logentry"}
"""Tables whose rows are no change of their own."""
NAMES = sorted(str(pattern.name) for pattern in addresses())


@pytest.fixture
def inside(fake: FakeEngine, web: App, alice: User, client: Client) -> Client:
    services.variables_save(app=web, values={"KEY": "value"}, changed_by=alice)
    services.volume_add(app=web, name="data", path="/data", created_by=alice)
    services.host_port_add(
        app=web, port=25_565, protocol="tcp", container_port=1, reach="local", created_by=alice
    )
    domain_add(app=web, host="shop.example.com", created_by=alice)
    assert deploy(web).status == Status.LIVE
    client.force_login(alice)
    client.get("/")  # what a first visit writes is written
    return client


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Everything in the database but what is no change of its own."""
    return {
        model.__name__: sorted(model._base_manager.values_list(), key=str)
        for model in apps.get_models(include_auto_created=True)
        if model._meta.model_name not in UNSEEN
    }


def newer_than(pk: int) -> list[AuditEvent]:
    return list(AuditEvent.objects.filter(pk__gt=pk).order_by("pk"))


def last_event() -> int:
    return AuditEvent.objects.values_list("pk", flat=True).order_by("-pk").first() or 0


@pytest.mark.parametrize("name", NAMES)
def test_a_change_leaves_its_event(name: str, inside: Client, web: App, alice: User) -> None:
    [pattern] = [p for p in addresses() if p.name == name]
    if name not in POSTS:
        given: dict[str, object] = {"project": "shop", "app": "web", "token": "x"}
        given |= {"public_id": "p"}
        numbers = ("number", "pk", "user", "member", "invitation", "github_app", "delivery")
        given |= dict.fromkeys(numbers, 1)
        given["kind"] = "github"
        kwargs = {key: given[key] for key in pattern.pattern.converters}
        answer = inside.post(reverse(name, kwargs=kwargs))
        assert answer.status_code == 405, f"Say in POSTS what a POST to {name} leaves."
        return
    found = POSTS[name]
    if not isinstance(found, Post):
        if name == "setup":
            nobody_yet(web)
        found = found()
    if found.first is not None:
        found.first(web)
    before, last = rows(), last_event()
    data = found.data | (found.asked(inside) if found.asked is not None else {})
    answer = inside.post(
        reverse(name, kwargs=found.at), data, HTTP_USER_AGENT="Lynx", REMOTE_ADDR="192.0.2.7"
    )
    refuses = name in ("sample_repository", "login_passkey") or answer.status_code == 404
    assert answer.status_code < 400 or refuses, answer.content.decode()[-500:]
    events = newer_than(last)
    assert [event.action for event in events] == list(found.leaves)
    if not events:
        same = rows()
        for table in {"User"} & same.keys():  # its last log-in
            before.pop(table), same.pop(table)
        assert same == before, f"{name} changes something and leaves no event"
        return
    reveals = {"reveal", "export", "end", "logout"} & {
        event.action.partition(".")[2] for event in events
    }
    assert rows() != before or reveals
    assert not found.thing or found.thing in [event.thing_name for event in events]
    assert {event.action for event in events} <= set(ACTIONS)
    for event in events:
        if event.action == "user.login":
            assert event.actor_id == event.thing_id
        else:
            nobody = name in ("setup", "password_reset")
            who = (ActorKind.VISITOR, None) if nobody else (ActorKind.USER, alice.pk)
            assert (event.actor_kind, event.actor_id) == who
        assert (event.address, event.agent) == ("192.0.2.7", "Lynx")
        assert event.request_id == answer["X-Request-ID"]
        facts = f"{event.before}{event.after}{event.thing_name}"
        assert SECRET not in facts
        assert PASSWORD not in facts
        if "project" in found.at:
            assert event.project_name == "shop"


def test_the_table_has_no_address_that_is_gone() -> None:
    assert set(POSTS) <= set(NAMES)


def test_a_setting_has_its_value_before_and_after(inside: Client) -> None:
    inside.post("/projects/shop/apps/web/settings/", form_of_settings(replicas=2, memory_mb=256))
    event = AuditEvent.objects.get(action="app.update")
    assert event.before == {"replicas": 1, "memory_mb": 512}
    assert event.after == {"replicas": 2, "memory_mb": 256}


def test_what_was_saved_unchanged_is_no_event(inside: Client) -> None:
    last = last_event()
    inside.post("/projects/shop/apps/web/settings/", form_of_settings())
    inside.post("/account/", {"form": "name", "name": "Alice Archer"})
    assert newer_than(last) == []


def test_an_event_can_be_read_when_its_thing_is_gone(inside: Client, web: App) -> None:
    app_id, project = web.pk, web.project
    inside.post("/projects/shop/apps/web/delete/", {"confirm": "shop/web"})
    App.objects.all().delete()
    Project.objects.all().delete()
    event = AuditEvent.objects.get(action="app.delete")
    assert (event.thing_type, event.thing_id, event.thing_name) == ("app", app_id, "shop/web")
    assert (event.project_id, event.project_name) == (project.pk, "shop")
    assert event.before == {"repository": web.repository, "branch": "main"}


def test_a_password_is_set_without_a_trace_of_it(inside: Client) -> None:
    new = "another-correct-horse"
    inside.post("/account/", {"form": "password", "current": PASSWORD, "new": new})
    event = AuditEvent.objects.get(action="password.change")
    assert (event.thing_name, event.before, event.after) == ("alice@example.com", {}, {})


def test_a_change_that_is_rolled_back_leaves_no_event(inside: Client) -> None:
    last = last_event()
    taken = {"port": "25565", "protocol": "tcp", "container_port": "2", "reach": "local"}
    inside.post("/projects/shop/apps/web/settings/ports/add/", taken)
    assert newer_than(last) == []


RECORDERS = {"record", "_record_variable", "_wish", "_administrator"}


def recorded_actions() -> set[str]:
    """The actions that are written in the code as arguments of what records."""
    found = set()
    for path in Path(settings.BASE_DIR, "apps").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                given = [k.value for k in node.keywords if k.arg == "action"]
                given += node.args if name in RECORDERS else []
            elif isinstance(node, ast.arguments):
                given = [one for one in node.kw_defaults if one is not None]
            else:
                continue
            for part in (inner for one in given for inner in ast.walk(one)):
                text = getattr(part, "value", None)
                if isinstance(text, str) and re.fullmatch(r"[a-z_]+\.[a-z_]+", text):
                    found.add(text)
    return found


def test_every_action_in_the_code_has_words() -> None:
    """And no words are left of an action that is gone."""
    assert sorted(ACTIONS) == sorted(recorded_actions())


def test_it_costs_one_insert(inside: Client, django_assert_num_queries: Any, web: App) -> None:
    with django_assert_num_queries(1):
        record("app.update", web, before={"branch": "a"}, after={"branch": "b"})
