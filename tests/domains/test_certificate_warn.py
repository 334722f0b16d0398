"""When what is served is looked at, and who is told of its end."""

from __future__ import annotations

import datetime as dt

from django.core import mail
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.domains import serving
from apps.domains.certificate_services import (
    https_change,
    served_check,
)
from apps.domains.models import (
    ServedCertificate,
)
from apps.domains.services import domain_add
from apps.domains.warning import warn_by_mail
from apps.engine.fake import FakeEngine
from apps.projects.https_models import OwnHttpsBy
from apps.projects.models import App, Membership, Project, ProjectRole
from tests.domains.serve import CA, HOST, again, row, seen, settle
from tests.machine.issuer import DAY


def test_somebody_may_ask_to_look_now(fake: FakeEngine, live: App) -> None:
    domain_add(app=live, host=HOST, created_by=None)
    fake.proxy.served[HOST] = seen(CA.chained(HOST))
    settle()
    assert row().next_look_at > timezone.now() + dt.timedelta(hours=20)
    served_check(app=live)
    assert row().next_look_at <= timezone.now()


def test_who_waits_is_looked_at_often_at_first_and_seldom_in_the_end() -> None:
    now = timezone.now()
    for waited, pause in ((0, 5), (60, 5), (300, 60), (3599, 60), (7200, 3600), (2 * 86400, 86400)):
        waiting = ServedCertificate(waits_since=now - dt.timedelta(seconds=waited))
        assert serving.next_look(waiting, now) - now == dt.timedelta(seconds=pause)


def test_an_end_is_told_once_to_the_projects_owner_and_admins(
    fake: FakeEngine, live: App, alice: User, settings: Settings
) -> None:
    for name, role in (("bob", ProjectRole.ADMIN), ("charlie", ProjectRole.DEVELOPER)):
        user = User.objects.create_user(f"{name}@example.com", name=name)
        Membership.objects.create(user=user, project=live.project, role=role)
    Project.objects.filter(pk=live.project_id).update(owner=alice)
    pair = CA.chained(HOST, "b.example.com", ends=9 * DAY + DAY / 2)
    for host in (HOST, "b.example.com"):
        domain_add(app=live, host=host, created_by=None)
        fake.proxy.served[host] = seen(pair)
    settle()
    assert warn_by_mail() == 0
    settings.EMAIL_URL = "smtp://mail.example.com"
    assert warn_by_mail() == 1 and warn_by_mail() == 0
    assert sorted(one.to[0] for one in mail.outbox) == ["alice@example.com", "bob@example.com"]
    [message] = mail.outbox[:1]
    assert message.subject == "The certificate of b.example.com ends in 9 days"
    assert HOST in message.body and "/projects/shop/apps/web/domains/" in message.body
    # Of its successor anew.
    fake.proxy.served[HOST] = seen(CA.chained(HOST, ends=2 * DAY))
    again()
    assert warn_by_mail() == 1


def test_nobody_is_warned_of_self_signed_ones(
    fake: FakeEngine, live: App, settings: Settings
) -> None:
    settings.EMAIL_URL = "smtp://mail.example.com"
    https_change(app=live, own_https=OwnHttpsBy.SELF)
    settle()
    ServedCertificate.objects.update(not_after=timezone.now() + DAY)
    assert warn_by_mail() == 0 and mail.outbox == []
