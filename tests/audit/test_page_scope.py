"""Who sees how much of the audit trail."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from apps.accounts.models import InstanceRole, User
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import project_create
from tests.audit.conftest import event, shown

HERE = "/projects/shop/audit/"


@pytest.fixture
def manager(web: App, client: Client) -> Client:
    """Of shop alone, beside whom there is another project with people of its own."""
    bob = User.objects.create_user("bob@example.com", name="Bob")
    Membership.objects.create(project=web.project, user=bob, role=ProjectRole.ADMIN)
    other = project_create(slug="plans", created_by=None)
    carol = User.objects.create_user("carol@example.com", name="Carol")
    Membership.objects.create(project=other, user=carol, role=ProjectRole.ADMIN)
    event(actor_id=carol.pk, actor_name="Carol", thing_name="plans/app", action="app.stop",
          project_id=other.pk, project_name="plans")  # fmt: skip
    event(actor_id=carol.pk, actor_name="Carol", thing_name="Dora", action="user.create")
    client.force_login(bob)
    return client


def test_a_project_admin_sees_this_project_alone(manager: Client) -> None:
    carol, plans = User.objects.get(name="Carol"), Project.objects.get(slug="plans")
    assert len(shown(manager, HERE)) == 2
    for asked in (
        {}, {"project": str(plans.pk)}, {"actor": str(carol.pk)}, {"q": "carol"}, {"q": "plans"},
        {"action": "app.stop"}, {"action": "user.create"},
    ):  # fmt: skip
        answer = manager.get(HERE, asked).content.decode()
        assert "plans/app" not in answer
        assert "Carol" not in answer
        assert "Dora" not in answer
    assert manager.get("/audit/").status_code == 403
    assert manager.get("/projects/plans/audit/").status_code == 404
    assert manager.post("/projects/plans/audit/export/", {"format": "csv"}).status_code == 404


def test_an_export_of_a_project_holds_it_alone(manager: Client) -> None:
    carol, plans = User.objects.get(name="Carol"), Project.objects.get(slug="plans")
    for query in ("", f"?project={plans.pk}", f"?actor={carol.pk}", "?q=plans"):
        answer = manager.post(f"{HERE}export/{query}", {"format": "json"})
        rows = json.loads(answer.getvalue())
        assert {row["project_name"] for row in rows} <= {"shop"}
        assert "Carol" not in str([{**row, "after": ""} for row in rows])


def test_links_are_drawn_for_whom_they_are(manager: Client, owner: Client, web: App) -> None:
    """The client is the owner's by now."""
    assert 'href="/audit/"' in owner.get("/").content.decode()
    assert f'href="{HERE}"' in owner.get("/projects/shop/").content.decode()
    for role, drawn in ((ProjectRole.VIEWER, False), (ProjectRole.ADMIN, True)):
        Membership.objects.filter(user__name="Bob").update(role=role)
        owner.force_login(User.objects.get(name="Bob"))
        page = owner.get("/projects/shop/").content.decode()
        assert (f'href="{HERE}"' in page) is drawn
        assert 'href="/audit/"' not in page
    owner.force_login(User.objects.create_user("d@example.com", role=InstanceRole.ADMIN))
    assert "/audit/" in owner.get("/palette/?q=audit").content.decode()
    owner.force_login(User.objects.get(name="Bob"))
    assert "/audit/" not in owner.get("/palette/?q=audit").content.decode()
