"""The demo: one button from an empty Mist to a deployment."""

from __future__ import annotations

from pathlib import Path

from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.deployments.services import app_delete
from apps.projects.models import App
from apps.projects.services import app_create, project_create
from apps.system.services import demo_start


def test_it_makes_everything_and_shows_the_deployment(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert "Deploy the demo app" in client.get("/").content.decode()
    answer = client.post("/demo/")
    assert answer["Location"] == "/projects/demo/apps/hello/deployments/1/"
    deployment = Deployment.objects.get()
    assert (deployment.trigger, deployment.requested_by) == (Deployment.Trigger.DEMO, alice)
    assert deployment.app.repository == "http://127.0.0.1:8080/samples/hello.git"
    assert (deployment.app.port, deployment.app.health_path) == (8000, "/healthz")


def test_it_deploys_the_same_app_again(alice: User, settings: Settings) -> None:
    demo_start(requested_by=alice)
    settings.MIST_PORT = 9000
    again = demo_start(requested_by=alice)
    assert (again.number, App.objects.count()) == (2, 1)
    assert again.app.repository == "http://127.0.0.1:9000/samples/hello.git"


def test_it_leaves_apps_of_the_same_name_alone(alice: User) -> None:
    project = project_create(slug="demo", created_by=alice)
    own = app_create(
        project=project, slug="hello", repository="https://example.com/own", created_by=alice
    )
    first = demo_start(requested_by=alice)
    assert first.app.slug == "hello-2"
    app_delete(app=first.app)
    assert demo_start(requested_by=alice).app.slug == "hello-3"
    own.refresh_from_db()
    assert own.repository == "https://example.com/own"


def test_it_works_from_the_command_line_before_anyone_exists(db: None, data_dir: Path) -> None:
    assert demo_start(requested_by=None).requested_by is None
