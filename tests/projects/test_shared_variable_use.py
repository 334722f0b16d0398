"""What a project's apps share: referred to by name, taken up by a deployment, shown to nobody."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.models import Status
from apps.deployments.selectors import unapplied, with_records, with_state
from apps.deployments.services import deployment_rollback
from apps.deployments.tasks import claim_next
from apps.engine.fake import FakeEngine
from apps.projects.models import App, Project, SharedVariable
from apps.projects.references import fill_in, problems, references
from apps.projects.services import app_create, variables_save
from apps.projects.shared_services import shared_variable_delete, shared_variable_save
from tests.deployments.test_deployment_run import deploy

S = "/projects/shop/variables/"
E = "/projects/shop/apps/web/environment/"
SECRET = "value-that-nobody-may-see"


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
