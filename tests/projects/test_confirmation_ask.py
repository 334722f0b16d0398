"""Before something is lost the page says what, with scripts and without."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.domains.models import Domain
from apps.domains.services import domain_add
from apps.projects.models import App, EnvironmentVariable, Project
from apps.projects.services import project_create, variables_save

A = "/projects/shop/apps/web/"
SECRET = "value-that-nobody-may-see"


@pytest.fixture
def actions(client: Client, alice: User, web: App) -> dict[str, str]:
    """What is asked → its address."""
    client.force_login(alice)
    variables_save(app=web, values={"API_KEY": SECRET}, changed_by=alice)
    domain = domain_add(app=web, host="shop.example.com", created_by=alice)
    project_create(slug="empty", created_by=alice)
    return {
        "Stop web?": f"{A}stop/",
        "Delete API_KEY?": f"{A}environment/{web.variables.get().pk}/delete/",
        "Remove shop.example.com?": f"{A}domains/{domain.pk}/delete/",
        "Delete project empty?": "/projects/empty/delete/",
    }


def state() -> tuple[object, ...]:
    models = (EnvironmentVariable, Domain, Project)
    return (*App.objects.values_list("wanted", "deleted_at"), *(m.objects.count() for m in models))


def test_each_question_names_what_is_lost_and_changes_nothing(
    client: Client, actions: dict[str, str]
) -> None:
    before = state()
    for heading, path in actions.items():
        page = client.get(path).content.decode()
        assert f"{heading}</h1>" in page
        assert "<html" in page and 'method="post"' in page
        assert SECRET not in page
    assert state() == before


def test_a_dialog_gets_the_question_alone(client: Client, actions: dict[str, str]) -> None:
    for heading, path in actions.items():
        answer = client.get(path, headers={"HX-Request": "true"})
        part = answer.content.decode()
        assert heading in part and f'action="{path}"' in part
        assert "<html" not in part
        assert "HX-Request" in answer["Vary"]


def test_each_answer_does_what_was_asked(client: Client, actions: dict[str, str]) -> None:
    for path in actions.values():
        assert client.post(path).status_code == 302
    assert App.objects.get().wanted == App.Wanted.STOPPED
    assert not EnvironmentVariable.objects.exists()
    assert not Domain.objects.exists()
    assert list(Project.objects.values_list("slug", flat=True)) == ["shop"]
