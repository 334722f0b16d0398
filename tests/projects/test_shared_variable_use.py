"""What a project's apps share: referred to by name, taken up by a deployment, shown to nobody."""

from __future__ import annotations

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.audit.models import AuditEvent
from apps.deployments import pipeline
from apps.deployments.models import Status
from apps.deployments.selectors import unapplied, with_records, with_state
from apps.deployments.services import deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Membership, Project, ProjectRole, SharedVariable
from apps.projects.references import fill_in, problems, references
from apps.projects.services import app_create, variables_save
from apps.projects.shared_services import shared_variable_delete, shared_variable_save
from tests.deployments.test_deployment_run import deploy

S = "/projects/shop/variables/"
E = "/projects/shop/apps/web/environment/"
SECRET = "value-that-nobody-may-see"


@pytest.fixture
def inside(client: Client, alice: User, web: App) -> Client:
    client.force_login(alice)
    return client


def share(project: Project, name: str, value: str, *, locked: bool = False) -> SharedVariable:
    return shared_variable_save(
        project=project, name=name, value=value, is_locked=locked, changed_by=None
    )


def differences(app: App) -> list[str]:
    found = with_records(with_state(App.objects.select_related("project"))).get(pk=app.pk)
    return [str(change) for change in unapplied(found).changes]


# ---------------------------------------------------------------------------------- references


@given(st.text().filter(lambda text: "project" not in text))
def test_every_other_dollar_stays_literal(text: str) -> None:
    assert references(text) == [] and fill_in(text, {}) == text and problems(text, set) == []


@pytest.mark.parametrize(
    "text",
    ["$KEY", "${KEY}", "$$", "$", "pa$$word", "${{ github.token }}", "{{ project.KEY }}",
     "$(project.KEY)", "$ {{ project.KEY }}", "${ {project.KEY} }"],
)  # fmt: skip
def test_what_other_tools_write_stays_literal(text: str) -> None:
    assert fill_in(text, {"KEY": "x"}) == text and problems(text, set) == []


@given(before=st.text("ab$ {}", max_size=5), value=st.text(), spaces=st.sampled_from(["", " ", "  "]))  # fmt: skip
def test_a_reference_is_filled_in_wherever_it_stands(before: str, value: str, spaces: str) -> None:
    text = f"{before}x${{{{{spaces}project.KEY{spaces}}}}}/${{{{ project.KEY }}}}"
    assert fill_in(text, {"KEY": value}) == f"{before}x{value}/{value}"


def test_what_is_filled_in_is_no_reference_again() -> None:
    """Neither a chain nor a circle, whatever somebody stores."""
    shared = {"A": "${{ project.B }}", "B": "${{ project.A }}"}
    assert fill_in("${{ project.A }}", shared) == "${{ project.B }}"


@pytest.mark.parametrize(
    "text",
    ["${{ project.KEY-1 }}", "${{ project }}", "${{ project. }}", "${{ project.1 }}",
     "${{ project.KEY", "${{ project.KEY }", "${{ project.A.B }}", "${{ project.KEY\n}} }}x${{ project..Y }}"],
)  # fmt: skip
def test_what_was_meant_for_a_reference_is_an_error(text: str) -> None:
    assert problems(text, lambda: {"KEY"})


# ----------------------------------------------------------------------------------- deploying


def test_an_app_gets_the_shared_value(fake: FakeEngine, web: App) -> None:
    share(web.project, "PW", SECRET)
    variables_save(app=web, values={"URL": "db://u:${{ project.PW }}@db", "COST": "5$"}, changed_by=None)  # fmt: skip
    assert deploy(web).status == Status.LIVE
    [spec] = fake.containers.specs.values()
    assert (spec.env["URL"], spec.env["COST"]) == (f"db://u:{SECRET}@db", "5$")
    assert "PW" not in spec.env


def test_a_build_gets_it_too(fake: FakeEngine, web: App) -> None:
    share(web.project, "PW", SECRET)
    variables_save(app=web, values={"T": "${{ project.PW }}"}, changed_by=None, at_build=True)
    deploy(web)
    assert fake.containers.builds[0].args == {"T": SECRET}


def test_an_unknown_reference_fails_the_deployment_in_words(fake: FakeEngine, web: App) -> None:
    variables_save(app=web, values={"URL": "${{ project.NOPE }}"}, changed_by=None)
    failed = deploy(web)
    assert failed.status == Status.FAILED
    assert failed.failure == "The variable URL refers to project.NOPE, which the project does not share."  # fmt: skip
    assert "Add NOPE on the project's page Variables" in failed.failure_hint
    assert not fake.containers.builds


def test_another_projects_values_are_out_of_reach(fake: FakeEngine, web: App, alice: User) -> None:
    other = Project.objects.create(slug="other")
    share(other, "PW", SECRET)
    variables_save(app=web, values={"URL": "${{ project.PW }}"}, changed_by=None)
    assert deploy(web).status == Status.FAILED


def test_a_changed_shared_value_is_a_change_of_the_apps_that_use_it(
    fake: FakeEngine, web: App, alice: User
) -> None:
    other = app_create(
        project=web.project, slug="api", repository=web.repository, created_by=alice, port=1
    )
    share(web.project, "PW", SECRET)
    variables_save(app=web, values={"URL": "x${{ project.PW }}"}, changed_by=None)
    variables_save(app=other, values={"OWN": "1"}, changed_by=None)
    deploy(web)
    deploy(other)
    assert differences(web) == differences(other) == []
    share(web.project, "PW", "another-value")
    assert (differences(web), differences(other)) == (["URL changed"], [])
    deploy(web)
    assert differences(web) == []
    share(web.project, "PW", "another-value")
    assert differences(web) == []


def test_a_deleted_shared_value_is_a_change_too(fake: FakeEngine, web: App) -> None:
    variable = share(web.project, "PW", SECRET)
    variables_save(app=web, values={"URL": "${{ project.PW }}"}, changed_by=None)
    deploy(web)
    shared_variable_delete(variable=variable)
    assert differences(web) == ["URL changed"]
    assert deploy(web).status == Status.FAILED


def test_a_rollback_with_old_variables_has_the_shared_value_of_then(
    fake: FakeEngine, web: App
) -> None:
    share(web.project, "PW", SECRET)
    variables_save(app=web, values={"URL": "${{ project.PW }}"}, changed_by=None)
    first = deploy(web)
    share(web.project, "PW", "another-value")
    deploy(web)
    deployment_rollback(to=first, requested_by=None, old_variables=True)
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    newest = list(fake.containers.specs.values())[-1]
    assert newest.env["URL"] == SECRET


# --------------------------------------------------------------------------------------- pages


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


# -------------------------------------------------------------------------------------- locked


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
