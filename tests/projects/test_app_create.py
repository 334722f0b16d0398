"""New projects and apps: what is typed is checked where it can still be seen."""

from __future__ import annotations

from decimal import Decimal

import pytest
from django.test import Client

from apps.accounts.models import User
from apps.deployments.services import app_delete
from apps.projects.forms import AppForm, ProjectForm
from apps.projects.models import App, Project
from apps.projects.services import app_update

REPOSITORY = "https://git.example.com/shop/web.git"


def errors_of(project: Project, **given: str) -> dict[str, str]:
    form = AppForm({"slug": "api", "repository": REPOSITORY, **given}, project=project)
    return {
        name: " ".join(message for problem in problems for message in problem.messages)
        for name, problems in form.errors.as_data().items()
    }


def test_it_makes_a_project_and_an_app_with_good_defaults(client: Client, alice: User) -> None:
    client.force_login(alice)
    assert client.post("/new-project/", {"slug": "shop"})["Location"] == "/projects/shop/"
    answer = client.post("/projects/shop/new-app/", {"slug": "web", "repository": REPOSITORY})
    assert answer["Location"] == "/projects/shop/apps/web/"
    app = App.objects.get()
    assert (app.branch, app.dockerfile, app.root_directory) == ("main", "Dockerfile", "")
    assert (app.port, app.health_path, app.memory_mb, app.cpus) == (None, "/", 512, Decimal(1))
    assert app.created_by == alice


def test_it_takes_every_setting(shop: Project) -> None:
    form = AppForm(
        {
            "slug": "api",
            "repository": "git@GitHub.com:halden/api.git/",
            "branch": "release/1.2",
            "root_directory": "./services//api/",
            "dockerfile": "deploy/Dockerfile",
            "port": "3000",
            "health_path": "/healthz?full=1",
            "memory_mb": "1024",
            "cpus": "0.5",
            "health_check": "tcp",
            "health_status": "200, 204",
            "health_up_seconds": "30",
            "health_start_seconds": "120",
            "health_attempts": "5",
            "health_interval": "10",
            "health_timeout": "2",
            "release_mode": "stop",
            "release_command": "python manage.py migrate",
            "post_deploy_command": "sh -c 'echo live'",
            "command_seconds": "60",
            "replicas": "3",
            "sticky_sessions": "on",
            "protocol": "h2c",
            "replacing": "at-once",
            "drain_seconds": "0",
            "stop_signal": "SIGQUIT",
            "stop_seconds": "90",
            "restart_policy": "on-failure",
        },
        project=shop,
    )
    assert form.is_valid(), form.errors
    assert form.settings() == {
        "health_check": "tcp",
        "health_status": "200,204",
        "health_up_seconds": 30,
        "health_start_seconds": 120,
        "health_attempts": 5,
        "health_interval": 10,
        "health_timeout": 2,
        "release_mode": "stop",
        "release_command": "python manage.py migrate",
        "post_deploy_command": "sh -c 'echo live'",
        "command_seconds": 60,
        "replicas": 3,
        "sticky_sessions": True,
        "protocol": "h2c",
        "replacing": "at-once",
        "drain_seconds": 0,
        "stop_signal": "SIGQUIT",
        "stop_seconds": 90,
        "restart_policy": "on-failure",
        "slug": "api",
        "source_kind": "git",
        "repository": "git@github.com:halden/api.git",
        "image_name": "",
        "pull_policy": "always",
        "branch": "release/1.2",
        "root_directory": "services/api",
        "dockerfile": "deploy/Dockerfile",
        "port": 3000,
        "health_path": "/healthz?full=1",
        "memory_mb": 1024,
        "cpus": Decimal("0.5"),
    }


@pytest.mark.parametrize(
    ("field", "text", "example"),
    [
        ("slug", "My App", "tidewater-api"),
        ("slug", "web\n<b>", "tidewater-api"),
        ("slug", "a" * 41, "tidewater-api"),
        ("slug", "", "web"),
        ("repository", "file:///etc", "https://github.com/owner/repository"),
        ("repository", "ext::sh -c id", "https://github.com/owner/repository"),
        ("repository", "--upload-pack=id", "https://github.com/owner/repository"),
        ("repository", "https://user:secret@example.com/a/b", "https://github.com"),
        ("repository", "", "https://github.com/owner/repository"),
        ("branch", "$(id)", "release/1.2"),
        ("branch", "-x", "release/1.2"),
        ("root_directory", "../..", "services/web"),
        ("dockerfile", "/etc/passwd", "deploy/Dockerfile"),
        ("dockerfile", "./", "deploy/Dockerfile"),
        ("port", "0", "8000"),
        ("port", "70000", "8000"),
        ("port", "٨٠٠٠", "8000"),
        ("health_path", "healthz", "/healthz"),
        ("health_check", "ping", "not one of the available choices"),
        ("health_status", "2xx", "200-399"),
        ("health_start_seconds", "0", "from 1 to 3600 s"),
        ("health_attempts", "none", "from 1 to 100"),
        ("release_command", "sh -c 'echo", "sh -c 'echo done'"),
        ("post_deploy_command", "'' x", "python manage.py migrate"),
        ("drain_seconds", "-1", "from 0 to 3600 s"),
        ("stop_signal", "SIGKILL", "not one of the available choices"),
        ("health_path", "/" + "a" * 400, "250"),
        ("memory_mb", "1", "512"),
        ("memory_mb", "99999999999999999999", "512"),
        ("cpus", "NaN", "0.5"),
        ("cpus", "-1", "0.5"),
    ],
)
def test_it_tells_the_rule_with_an_example(
    shop: Project, field: str, text: str, example: str
) -> None:
    errors = errors_of(shop, **{field: text})
    assert list(errors) == [field]
    assert example in errors[field]


def test_it_does_not_repeat_a_password_in_its_answer(
    client: Client, alice: User, shop: Project
) -> None:
    client.force_login(alice)
    given = {"slug": "api", "repository": REPOSITORY, "port": "many"}
    text = client.post("/projects/shop/new-app/", given).content.decode()
    assert "A port is a number" in text
    assert f'value="{REPOSITORY}"' in text
    assert '<details class="more border-t" open>' in text
    assert 'aria-describedby="id_port_helptext id_port_error"' in text
    assert not App.objects.exists()


def test_it_refuses_a_name_that_is_taken(shop: Project, web: App) -> None:
    assert "has an app web already" in errors_of(shop, slug="web")["slug"]
    app_delete(app=web)
    assert "is being deleted" in errors_of(shop, slug="web")["slug"]


@pytest.mark.parametrize("slug", ["shop", "mist", "Shop", "a_b", "-a", "", "x" * 41, "é"])
def test_it_refuses_a_project_name(shop: Project, slug: str) -> None:
    assert list(ProjectForm({"slug": slug}).errors) == ["slug"]


def test_it_keeps_the_name_and_what_is_left_empty_when_editing(shop: Project, web: App) -> None:
    app_update(app=web, branch="develop", memory_mb=256)
    data = {"slug": "other", "repository": REPOSITORY, "port": "", "cpus": "2"}
    form = AppForm(data, project=shop, instance=web)
    assert form.is_valid(), form.errors
    settings = form.settings()
    assert "slug" not in settings
    assert (settings["branch"], settings["memory_mb"], settings["cpus"]) == ("develop", 256, 2)
    assert settings["port"] is None


def test_it_deletes_a_project_only_when_it_is_empty(
    client: Client, alice: User, shop: Project, web: App
) -> None:
    client.force_login(alice)
    page = client.post("/projects/shop/delete/", follow=True).content.decode()
    assert "shop still has apps" in page
    app_delete(app=web)
    client.post("/projects/shop/delete/")
    assert Project.objects.exists()
    web.delete()
    assert client.post("/projects/shop/delete/")["Location"] == "/"
    assert not Project.objects.exists()
