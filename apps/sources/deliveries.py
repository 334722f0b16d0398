"""What Git hosts tell: each message is carried out once and kept for a week with what became of
it."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.db import IntegrityError, transaction
from django.db.models import F

from apps.accounts.models import User
from apps.audit.trail import record, without_credentials
from apps.projects.models import App, Project
from apps.sources.hosts.reading import Event, EventKind, read_json
from apps.sources.hosts.table import read_event
from apps.sources.models import Delivery, GitHubApp, Webhook
from apps.sources.pushes import deploy_pushed

REFUSED_KEPT = 50
"""Of one hook, refused messages: anybody who knows its address can send some."""
BATCH = 500


@dataclass(frozen=True)
class Origin:
    """Whose messages they are: of a webhook, or of a GitHub App."""

    webhook: Webhook | None = None
    github_app: GitHubApp | None = None


@dataclass(frozen=True)
class Message:
    """One whose signature is right."""

    event: str
    """As the host calls it."""
    delivery_id: str
    """Empty where the host gives none."""
    text: str
    """JSON."""


@dataclass(frozen=True)
class Answer:
    """What became of a message."""

    outcome: Delivery.Outcome
    words: str


def delivery_take(*, origin: Origin, message: Message, carry_out: Callable[[], Answer]) -> Delivery:
    """Carry the message out and keep both, in one transaction. One that came before is counted
    and nothing else: the row is that of the first time."""
    with transaction.atomic():
        row = _claim(origin, message)
        if row is None:
            return _again(origin, message)
        return _finish(row, carry_out())


def _claim(origin: Origin, message: Message) -> Delivery | None:
    """The row, ours; None when there is one of this name already. With two at once the database
    lets the second one wait for the first."""
    try:
        with transaction.atomic():
            return Delivery.objects.create(
                webhook=origin.webhook,
                github_app=origin.github_app,
                event=message.event,
                delivery_id=message.delivery_id,
                body=zlib.compress(message.text.encode("utf-8", "replace")),
            )
    except IntegrityError:
        if not message.delivery_id:
            raise
        return None


def _again(origin: Origin, message: Message) -> Delivery:
    known = Delivery.objects.filter(
        webhook=origin.webhook,
        github_app=origin.github_app,
        delivery_id=message.delivery_id,
    ).exclude(outcome=Delivery.Outcome.REFUSED)
    known.update(times=F("times") + 1)
    return known.defer("body").get()


def _finish(row: Delivery, answer: Answer) -> Delivery:
    row.outcome, row.words = answer.outcome, answer.words
    row.save(update_fields=["outcome", "words"])
    return row


def delivery_refuse(*, origin: Origin, event: str, delivery_id: str, words: str) -> Delivery:
    """Keep that a message was refused, and why; not what was in it. Of each hook a bounded number
    is kept."""
    of = {"webhook": origin.webhook, "github_app": origin.github_app}
    with transaction.atomic():
        row = Delivery.objects.create(
            **of,
            event=event,
            delivery_id=delivery_id,
            outcome=Delivery.Outcome.REFUSED,
            words=words,
        )
        refused = Delivery.objects.filter(**of, outcome=Delivery.Outcome.REFUSED).order_by("-id")
        old = refused.values_list("pk", flat=True)[REFUSED_KEPT : REFUSED_KEPT + BATCH]
        Delivery.objects.filter(pk__in=list(old)).delete()
    return row


def delivery_replay(*, delivery: Delivery, by: User) -> Delivery:
    """Carry out once more what a webhook brought, with the apps and settings of now. The row has
    no name of the host's: that stays with what came."""
    webhook = delivery.webhook
    assert webhook is not None, "This one came to a GitHub App."
    return replay(
        delivery=delivery,
        kind=webhook.kind,
        by=by,
        project=webhook.project,
        carry_out=lambda event: carry_out(webhook, event, requested_by=by),
    )


def replay(
    *,
    delivery: Delivery,
    kind: str,
    by: User,
    project: Project | None,
    carry_out: Callable[[Event], Answer],
) -> Delivery:
    """Keep a row of its own for what becomes of the message this time."""
    assert delivery.body, "Only what was taken can be carried out again."
    with transaction.atomic():
        row = Delivery.objects.create(
            webhook=delivery.webhook,
            github_app=delivery.github_app,
            event=delivery.event,
            body=delivery.body,
            replay_of=delivery,
            replayed_by=by,
        )
        record("delivery.replay", row, project=project, name=str(delivery))
        event = read_event(kind, delivery.event, read_json(text_of(delivery)))
        return _finish(row, carry_out(event))


def text_of(delivery: Delivery) -> str:
    """The JSON that came; empty for what was refused."""
    return zlib.decompress(bytes(delivery.body)).decode() if delivery.body else ""


def carry_out(webhook: Webhook, event: Event, *, requested_by: User | None = None) -> Answer:
    """Do what a message to a project's webhook asks for. Only queues rows."""
    if event.kind is EventKind.PING:
        return Answer(Delivery.Outcome.DONE, "the host can reach Mist")
    if event.kind is EventKind.OTHER:
        return Answer(Delivery.Outcome.IGNORED, f"ignored: event {event.name}")
    apps = list(
        App.objects.filter(project=webhook.project_id, deleted_at=None).select_related("project")
    )
    verdicts = [
        verdict
        for push in event.pushes
        for verdict in deploy_pushed(apps=apps, push=push, requested_by=requested_by)
    ]
    if not verdicts:
        return Answer(Delivery.Outcome.IGNORED, _nothing_built(webhook, event))
    deployed = any(verdict.deployment is not None for verdict in verdicts)
    outcome = Delivery.Outcome.DEPLOYED if deployed else Delivery.Outcome.IGNORED
    return Answer(outcome, "\n".join(verdict.words for verdict in verdicts))


def _nothing_built(webhook: Webhook, event: Event) -> str:
    if not event.pushes:
        return "ignored: neither a branch nor a tag was pushed"
    where = without_credentials(event.pushes[0].addresses[0])[:200]
    return f"ignored: no app of {webhook.project} is built from {where}"


def as_json(delivery: Delivery) -> dict[str, Any]:
    """What the host is told."""
    return {
        "outcome": delivery.outcome,
        "words": delivery.words.splitlines(),
        "times": delivery.times,
    }
