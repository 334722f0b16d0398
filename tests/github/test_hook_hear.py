"""Whom the webhook of a GitHub App deploys."""

from __future__ import annotations

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.projects.models import App, Project
from apps.sources.github import offers_of
from apps.sources.github_services import app_create_from_github
from apps.sources.models import GitHubApp, Installation
from tests.github.api import GitHubHost
from tests.sources.conftest import said
from tests.sources.payloads import SECOND, github_push
from tests.sources.test_github_app_hear import Hub


def test_an_app_that_is_of_github_no_more_is_not_deployed(
    near: GitHubHost, github_app: GitHubApp, halden: Installation, shop: Project, alice: User
) -> None:
    near.repository(1, 17, "halden/api")
    [offer] = offers_of([halden])[0]
    app = app_create_from_github(
        project=shop,
        installation=halden,
        repository=offer.repository,
        created_by=alice,
        slug="api",
    )
    hub, push = Hub(github_app), github_push(repository="halden/api")
    assert "deployed shop/api #1" in said(hub.send("push", push, secret="webhook-secret"))
    assert Deployment.objects.get().commit == SECOND
    App.objects.filter(pk=app.pk).update(source_kind="image", image_name="x/y:1")
    answer = hub.send("push", push, secret="webhook-secret")
    assert said(answer) == ["ignored: no app is built from this repository"]
