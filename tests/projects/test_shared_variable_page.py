"""The pages of what a project's apps share, and who is shown what of it."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Membership, ProjectRole, SharedVariable
from apps.projects.services import variables_save
from apps.projects.shared_services import shared_variable_delete
from tests.deployments.test_deployment_run import deploy
from tests.projects.test_shared_variable_use import share

S = "/projects/shop/variables/"

E = "/projects/shop/apps/web/environment/"

SECRET = "value-that-nobody-may-see"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def test_an_unknown_reference_is_an_error_beside_the_field(inside: Client, web: App) -> None:
    value = "x${{ project.NOPE }}"
    answer = inside.post(f"{E}save/", {"name": "V", "value": value, "at_runtime": "on"})
    page = answer.content.decode()
    assert "The project shares no variable NOPE." in page and not web.variables.exists()
    answer = inside.post(f"{E}paste/", {"text": f"A=1\nV={value}"})
    assert "V: The project shares no variable NOPE." in answer.content.decode()
    assert not web.variables.exists()
    share(web.project, "NOPE", "1")
    inside.post(f"{E}save/", {"name": "V", "value": value, "at_runtime": "on"})
    assert web.variables.get().value == value


def test_the_page_of_an_app_says_where_a_value_comes_from(inside: Client, web: App) -> None:
    variable = share(web.project, "PW", SECRET)
    variables_save(app=web, values={"URL": "db://${{ project.PW }}"}, changed_by=None)
    page = inside.get(E).content.decode()
    assert "from project.PW" in page and SECRET not in page
    revealed = inside.post(f"{E}{web.variables.get().pk}/reveal/").content.decode()
    assert "db://${{ project.PW }}" in revealed and SECRET not in revealed
    shared_variable_delete(variable=variable)
    assert "project.PW does not exist" in inside.get(E).content.decode()


def test_a_shared_value_is_added_changed_and_deleted(inside: Client, web: App) -> None:
    inside.post(f"{S}save/", {"name": "PW", "value": "line 1\r\nline 2 "})
    variable = SharedVariable.objects.get()
    assert (variable.name, variable.value) == ("PW", "line 1\nline 2 ")
    assert SECRET not in inside.get(S).content.decode()
    inside.post(f"{S}save/", {"variable": variable.pk, "value": ""})
    variable.refresh_from_db()
    assert variable.value == "line 1\nline 2 "
    inside.post(f"{S}save/", {"variable": variable.pk, "value": SECRET})
    variable.refresh_from_db()
    assert variable.value == SECRET
    variables_save(app=web, values={"URL": "${{ project.PW }}"}, changed_by=None)
    question = inside.get(f"{S}{variable.pk}/delete/").content.decode()
    assert "cannot be deployed until they no longer do: web" in question
    inside.post(f"{S}{variable.pk}/delete/")
    assert not SharedVariable.objects.exists()
    assert [
        e.action for e in AuditEvent.objects.filter(action__startswith="shared").order_by("id")
    ] == [
        "shared_variable.create",
        "shared_variable.update",
        "shared_variable.update",
        "shared_variable.delete",
    ]
    told = str([(e.before, e.after, e.thing_name) for e in AuditEvent.objects.all()])
    assert SECRET not in told and "line 1" not in told


@pytest.mark.parametrize("name", ["", "1A", "A-B", "A B", "A\n", "Ä", "A" * 201, "A;B", "A=B"])
def test_a_wrong_name_is_refused(inside: Client, name: str) -> None:
    answer = inside.post(f"{S}save/", {"name": name, "value": "x"})
    if name == "A\n":
        # A browser cannot send it in one line; what is around a name is not of it.
        assert SharedVariable.objects.get().name == "A"
    else:
        assert answer.status_code == 200 and not SharedVariable.objects.exists()


def test_a_name_is_there_once(inside: Client, web: App) -> None:
    share(web.project, "PW", SECRET)
    answer = inside.post(f"{S}save/", {"name": "PW", "value": "x"})
    assert "There is a variable PW already." in answer.content.decode()
    assert SharedVariable.objects.get().value == SECRET


def test_a_shared_value_refers_to_nothing(inside: Client) -> None:
    answer = inside.post(f"{S}save/", {"name": "A", "value": "${{ project.B }}"})
    assert "A shared value refers to nothing itself." in answer.content.decode()


def test_revealing_a_shared_value_is_audited(inside: Client, web: App) -> None:
    variable = share(web.project, "PW", SECRET)
    for headers in ({}, {"HX-Request": "true"}):
        answer = inside.post(f"{S}{variable.pk}/reveal/", headers=headers)
        assert SECRET in answer.content.decode() and "no-store" in answer["Cache-Control"]
    events = AuditEvent.objects.filter(action="shared_variable.reveal")
    assert [(e.actor_name, e.thing_name, e.project_name) for e in events] == [
        ("Alice Archer", "PW", "shop")
    ] * 2
    assert inside.get(f"{S}{variable.pk}/reveal/").status_code == 405


def test_a_viewer_sees_names_and_no_buttons(client: Client, web: App) -> None:
    bob = User.objects.create_user("bob@example.com", name="Bob")
    Membership.objects.create(project=web.project, user=bob, role=ProjectRole.VIEWER)
    share(web.project, "PW", SECRET)
    client.force_login(bob)
    page = client.get(S).content.decode()
    assert "PW" in page and "reveal/" not in page and "delete/" not in page and "Save variable" not in page  # fmt: skip


def lock_all(inside: Client, web: App) -> tuple[int, int]:
    """A locked variable of the app and one of the project."""
    inside.post(f"{E}save/", {"name": "V", "value": SECRET, "at_runtime": "on", "is_locked": "on"})
    inside.post(f"{S}save/", {"name": "PW", "value": SECRET, "is_locked": "on"})
    own, shared = web.variables.get(), SharedVariable.objects.get()
    assert own.is_locked and shared.is_locked
    return own.pk, shared.pk


def test_a_locked_value_is_shown_by_no_page_export_or_admin(inside: Client, web: App) -> None:
    own, shared = lock_all(inside, web)
    for path in (f"{E}{own}/reveal/", f"{S}{shared}/reveal/"):
        for headers in ({}, {"HX-Request": "true"}):
            answer = inside.post(path, headers=headers)
            assert answer.status_code == 403 and SECRET not in answer.content.decode()
    pages = [
        E,
        S,
        f"{E}?edit={own}",
        f"{S}?edit={shared}",
        f"/admin/projects/environmentvariable/{own}/change/",
        f"/admin/projects/sharedvariable/{shared}/change/",
        f"{E}{own}/delete/",
        f"{S}{shared}/delete/",
    ]
    for path in pages:
        answer = inside.get(path)
        assert answer.status_code == 200 and SECRET not in answer.content.decode(), path
    assert inside.post(f"{E}export/").content.decode() == ""
    assert f"{own}/reveal/" not in inside.get(E).content.decode()
    assert not AuditEvent.objects.filter(action__endswith=".reveal").exists()


def test_a_lock_stays_whatever_is_sent(inside: Client, web: App) -> None:
    own, shared = lock_all(inside, web)
    for value in ("", "replaced"):
        for extra in ({}, {"is_locked": ""}, {"is_locked": "false"}):
            inside.post(f"{E}save/", {"variable": own, "value": value, "at_runtime": "on", **extra})
            inside.post(f"{S}save/", {"variable": shared, "value": value, **extra})
    assert web.variables.get().is_locked and SharedVariable.objects.get().is_locked
    assert web.variables.get().value == SharedVariable.objects.get().value == "replaced"
    for path in ("environmentvariable", "sharedvariable"):
        pk = own if path == "environmentvariable" else shared
        answer = inside.post(f"/admin/projects/{path}/{pk}/change/", {"is_locked": ""})
        assert answer.status_code == 403


def test_a_pasted_env_keeps_locked_ones(inside: Client, web: App) -> None:
    lock_all(inside, web)
    inside.post(f"{E}paste/", {"text": "A=1", "remove_others": "on"})
    assert sorted(web.variables.values_list("name", "is_locked")) == [("A", False), ("V", True)]
    inside.post(f"{E}paste/", {"text": "V=replaced", "remove_others": "on"})
    variable = web.variables.get()
    assert (variable.value, variable.is_locked) == ("replaced", True)


def test_a_locked_value_is_still_deployed(fake: FakeEngine, inside: Client, web: App) -> None:
    lock_all(inside, web)
    variables_save(app=web, values={"URL": "${{ project.PW }}"}, changed_by=None)
    deploy(web)
    [spec] = fake.containers.specs.values()
    assert spec.env["V"] == spec.env["URL"] == SECRET


def test_a_value_can_be_locked_later(inside: Client, web: App) -> None:
    variables_save(app=web, values={"V": SECRET}, changed_by=None)
    pk = web.variables.get().pk
    inside.post(f"{E}save/", {"variable": pk, "value": "", "at_runtime": "on", "is_locked": "on"})
    assert web.variables.get().is_locked and web.variables.get().value == SECRET
    assert inside.post(f"{E}{pk}/reveal/").status_code == 403
