"""What GitHub tells a GitHub App of this Mist."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.deliveries import Answer, replay, text_of
from apps.sources.github_events import github_told
from apps.sources.hosts.reading import Event, EventKind, maybe, read_json
from apps.sources.models import Delivery, GitHubApp, HostKind
from apps.sources.planning import Push
from apps.sources.pushes import app_pushed


def carry_out_for_app(github_app: GitHubApp, event: Event, payload: dict[str, Any]) -> Answer:
    """Do what a message asks for, with the apps that are linked to its repository through this
    GitHub App, whatever their project. Only writes rows."""
    if event.kind is EventKind.PING:
        return Answer(Delivery.Outcome.DONE, "the host can reach Mist")
    told = github_told(github_app=github_app, event=event.name, payload=payload)
    if event.kind is EventKind.OTHER:
        ignored = Answer(Delivery.Outcome.IGNORED, f"ignored: event {event.name}")
        return Answer(Delivery.Outcome.DONE, told) if told else ignored
    apps = _linked(github_app, maybe(payload, "repository").get("id"))
    answer = _deploy(apps, event.pushes)
    return replace(answer, words=f"{told}\n{answer.words}") if told else answer


def github_delivery_replay(*, delivery: Delivery, by: User) -> Delivery:
    """Deploy once more what a push to a GitHub App asked for, with the apps and settings of now.
    Names and installations stay as GitHub told of them last."""
    github_app = delivery.github_app
    assert github_app is not None, "This one came to a project's webhook."
    number = maybe(read_json(text_of(delivery)), "repository").get("id")
    return replay(
        delivery=delivery,
        kind=HostKind.GITHUB,
        by=by,
        project=None,
        carry_out=lambda event: _deploy(_linked(github_app, number), event.pushes, by=by),
    )


def _linked(github_app: GitHubApp, repository: object) -> list[App]:
    """The apps of that repository, by GitHub's number of it."""
    if type(repository) is not int or not 0 < repository < 2**63:
        return []
    found = App.objects.filter(
        deleted_at=None,
        source_kind=SourceKind.GITHUB,
        github__installation__github_app=github_app,
        github__repository_id=repository,
    )
    return list(found.select_related("project").order_by("project__slug", "slug"))


def _deploy(apps: list[App], pushes: tuple[Push, ...], *, by: User | None = None) -> Answer:
    trigger = Deployment.Trigger.WEBHOOK
    verdicts = [
        app_pushed(app=app, push=push, trigger=trigger, requested_by=by)
        for push in pushes
        for app in apps
    ]
    if not verdicts:
        return Answer(Delivery.Outcome.IGNORED, "ignored: no app is built from this repository")
    deployed = any(verdict.deployment is not None for verdict in verdicts)
    outcome = Delivery.Outcome.DEPLOYED if deployed else Delivery.Outcome.IGNORED
    return Answer(outcome, "\n".join(verdict.words for verdict in verdicts))
