"""The webhook of a GitHub App: the apps that are linked through it, and no others."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from django.http import HttpResponse
from django.test import Client

from apps.accounts.models import InstanceRole, User
from apps.audit.models import AuditEvent
from apps.projects.models import App, Project
from apps.projects.services import app_create, project_create
from apps.sources.models import Delivery, GitHubApp, GitHubLink, Installation
from tests.machine.octokit import examples
from tests.sources.conftest import last_delivery, said, signed, waiting
from tests.sources.payloads import SECOND, github_push

SECRET = "of the app"


@dataclass
class Hub:
    """GitHub, to one App."""

    github_app: GitHubApp
    client: Client = field(default_factory=Client)
    sent: int = 0

    def send(self, event: str, payload: Any, *, secret: str = SECRET) -> HttpResponse:
        self.sent += 1
        body = json.dumps(payload).encode()
        headers = {
            "X-GitHub-Event": event,
            "X-GitHub-Delivery": f"d-{self.sent}",
            **signed("github", secret, body),
        }
        path = f"/hooks/github-app/{self.github_app.public_id}"
        answer: Any = self.client.generic("POST", path, body, "application/json", headers=headers)
        return cast(HttpResponse, answer)


def github_app(name: str, **more: Any) -> GitHubApp:
    given = {"app_id": 1, "slug": name, "public_id": f"id-{name}", "webhook_secret": SECRET, **more}
    return GitHubApp.objects.create(name=name, client_secret="", private_key="", **given)


def link(app: App, to: GitHubApp, repository: int = 17) -> None:
    installation, _ = Installation.objects.get_or_create(
        github_app=to, installation_id=2, account="shop"
    )
    GitHubLink.objects.create(
        app=app, installation=installation, repository_id=repository, full_name="shop/web"
    )
    App.objects.filter(pk=app.pk).update(source_kind="github")


@pytest.fixture
def hub(db: None) -> Hub:
    return Hub(github_app("mist"))


def test_a_push_deploys_what_is_linked_whatever_its_project(
    hub: Hub, shop: Project, web: App
) -> None:
    depot = project_create(slug="depot", created_by=None)
    tools = app_create(project=depot, slug="tools", repository="", created_by=None)
    app_create(project=shop, slug="unlinked", repository=web.repository, created_by=None)
    elsewhere = app_create(project=depot, slug="api", repository="", created_by=None)
    link(web, hub.github_app)
    link(tools, hub.github_app)
    link(elsewhere, hub.github_app, repository=18)
    answer = hub.send("push", github_push(repository="renamed/since"))
    assert said(answer) == ["deployed depot/tools #1", "deployed shop/web #1"]
    assert GitHubLink.objects.get(app=web).full_name == "renamed/since"
    assert [one.commit for one in waiting(web)] == [SECOND]
    event = AuditEvent.objects.filter(action="deployment.request")[0]
    assert event.actor_name == "GitHub App mist"
    assert (last_delivery().github_app, last_delivery().webhook) == (hub.github_app, None)


def test_an_installation_is_taken_up_once_it_is_signed(hub: Hub) -> None:
    told = {
        "action": "created",
        "installation": {"id": 5, "account": {"login": "tidewater"}, "target_type": "User"},
    }
    assert hub.send("installation", told, secret="another").status_code == 403
    assert not Installation.objects.exists()
    assert said(hub.send("installation", told)) == ["the installation in tidewater is there"]
    assert Installation.objects.get().account == "tidewater"
    assert last_delivery().outcome == Delivery.Outcome.DONE


def test_what_is_linked_through_another_app_is_left_alone(hub: Hub, web: App) -> None:
    link(web, github_app("other", html_url="https://github.example.com"))
    assert said(hub.send("push", github_push())) == [
        "ignored: no app is built from this repository"
    ]


@pytest.mark.parametrize("number", [None, "17", True, -1, 2**70, [17]])
def test_a_number_that_is_none_is_nobodys(number: object, hub: Hub, web: App) -> None:
    link(web, hub.github_app)
    pushed = github_push()
    pushed["repository"]["id"] = number
    assert said(hub.send("push", pushed))[0].startswith("ignored")


def test_a_message_with_another_signature_is_refused(hub: Hub, web: App) -> None:
    link(web, hub.github_app)
    assert hub.send("push", github_push(), secret="another").status_code == 403
    assert waiting(web) == []


def test_one_without_a_secret_hears_nothing(hub: Hub, web: App) -> None:
    link(web, hub.github_app)
    GitHubApp.objects.update(webhook_secret="")
    assert hub.send("push", github_push(), secret="").status_code == 403


def test_every_example_is_answered(hub: Hub, web: App) -> None:
    link(web, hub.github_app, repository=186853002)
    App.objects.update(branch="master")
    for event, payload in examples()["api.github.com"]:
        assert hub.send(event, payload).status_code in (200, 202), event
    assert Delivery.objects.filter(outcome="deployed").count() == 1
    assert not Delivery.objects.filter(outcome="refused").exists()


@pytest.fixture
def inside(client: Client, alice: User) -> Client:
    User.objects.filter(pk=alice.pk).update(role=InstanceRole.OWNER)
    client.force_login(alice)
    return client


def _page(of: Hub, *rest: object) -> str:
    return "/".join(["/settings/github", str(of.github_app.pk), "deliveries", *map(str, rest), ""])


def test_its_deliveries_are_listed_and_a_push_is_carried_out_again(
    inside: Client, hub: Hub, web: App
) -> None:
    hub.send("push", github_push())
    link(web, hub.github_app)
    came = last_delivery()
    page = inside.get(_page(hub)).content.decode()
    assert "no app is built from this repository" in page and _page(hub, came.pk) in page
    assert "Replay" in inside.get(_page(hub, came.pk)).content.decode()
    assert inside.post(_page(hub, came.pk, "replay")).status_code == 302
    again = last_delivery()
    assert (again.replay_of, again.words) == (came, "deployed shop/web #1")
    assert [one.commit for one in waiting(web)] == [SECOND]
    assert f"delivery {came.pk}" in inside.get(_page(hub, again.pk)).content.decode()


def test_old_news_of_an_installation_or_a_name_is_not_told_again(
    inside: Client, hub: Hub, web: App
) -> None:
    link(web, hub.github_app)
    gone = {"action": "deleted", "installation": {"id": 2, "account": {"login": "shop"}}}
    hub.send("installation", gone)
    told = last_delivery()
    assert "Replay" not in inside.get(_page(hub, told.pk)).content.decode()
    assert inside.post(_page(hub, told.pk, "replay")).status_code == 302
    assert last_delivery() == told
    hub.send("push", github_push(repository="old/name"))
    GitHubLink.objects.update(full_name="new/name")
    inside.post(_page(hub, last_delivery().pk, "replay"))
    assert last_delivery().replay_of is not None
    assert GitHubLink.objects.get().full_name == "new/name"


def test_a_delivery_of_another_app_or_of_a_project_is_not_found(
    inside: Client, hub: Hub, web: App
) -> None:
    hub.send("ping", {})
    other = Hub(github_app("other", app_id=2))
    assert inside.get(_page(other, last_delivery().pk)).status_code == 404
