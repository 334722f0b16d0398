"""Changing traffic rules. A change is live within a second; nothing is restarted."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from apps.accounts.models import User
from apps.audit.trail import facts, record
from apps.deployments.services import app_publish
from apps.domains.models import Domain, TrafficRules, TrafficUser
from apps.domains.selectors import rules_of
from apps.engine.errors import InvalidSource
from apps.engine.traffic_checks import MAX_USERS, check_user, hash_password
from apps.projects.models import App

OF_RULES = (
    *("allowed_networks", "rate_average", "rate_period_seconds", "rate_burst", "body_limit_mb"),
    *("headers", "compresses", "maintenance", "maintenance_page", "maintenance_networks"),
    "maintenance_seconds",
)
"""What can be set, users apart."""


def rules_change(*, app: App, domain: Domain | None, **settings: Any) -> TrafficRules:
    """Set some of `OF_RULES`, checked, for the app or for a domain with rules of its own."""
    with transaction.atomic():
        rules = _held(app, domain)
        before = _facts(rules)
        for name, value in settings.items():
            setattr(rules, name, value)
        rules.save()
        after = _facts(rules)
        if before != after:
            record("traffic.change", rules, before=before, after=after)
            app_publish(app=app)
    return rules


def user_save(
    *, app: App, domain: Domain | None, name: str, password: str, by: User | None
) -> TrafficUser:
    """Add who may come in with that password, or give who is there another one. Of the password a
    hash is kept. Raises `InvalidSource`."""
    name, password_hash = check_user(name), hash_password(password)
    with transaction.atomic():
        rules = _held(app, domain)
        user = rules.users.filter(name=name).defer("password_hash").first()
        is_new = user is None
        if user is None:
            if rules.users.count() >= MAX_USERS:
                raise InvalidSource(f"There are at most {MAX_USERS} users.")
            user = TrafficUser(rules=rules, name=name, created_by=by)
        user.password_hash = password_hash
        user.save()
        record(
            "traffic_user.add" if is_new else "traffic_user.change",
            user,
            name=f"{rules} {name}",
            project=app.project,
        )
        app_publish(app=app)
    return user


def user_remove(*, user: TrafficUser) -> None:
    """Who has nobody left asks nobody for a password any more."""
    rules = user.rules
    with transaction.atomic():
        record("traffic_user.remove", user, name=f"{rules} {user}", project=rules.app.project)
        user.delete()
        app_publish(app=rules.app)


def rules_part(*, domain: Domain) -> TrafficRules:
    """Give the domain rules of its own, which begin as the app's; users with their passwords."""
    with transaction.atomic():
        if (own := TrafficRules.objects.filter(domain=domain).first()) is not None:
            return own
        rules = rules_of(domain.app)
        users = list(rules.users.all()) if rules.pk else []
        rules.pk, rules.domain = None, domain
        rules._state.adding = True
        rules.save()
        for user in users:
            user.pk, user.rules = None, rules
            user._state.adding = True
            user.save()
        record("traffic.part", rules)
        app_publish(app=domain.app)
    return rules


def rules_join(*, domain: Domain) -> None:
    """Let the app's rules hold for the domain again; its own are gone."""
    with transaction.atomic():
        rules = TrafficRules.objects.filter(domain=domain).select_related("app__project").first()
        if rules is not None:
            record("traffic.join", rules, before=_facts(rules))
            rules.delete()
            app_publish(app=domain.app)


# ------------------------------------------------------------------------------------------ parts


def _held(app: App, domain: Domain | None) -> TrafficRules:
    """The row, made where it is the app's first, and nobody else's until the transaction ends."""
    TrafficRules.objects.get_or_create(app=app, domain=domain)
    return (
        TrafficRules.objects.select_for_update(of=("self",))
        .select_related("app__project")
        .get(app=app, domain=domain)
    )


def _facts(rules: TrafficRules) -> dict[str, Any]:
    """The page itself may be long, and says nothing about who may do what."""
    found = facts(rules, *OF_RULES)
    page = found["maintenance_page"]
    found["maintenance_page"] = f"{len(page)} characters" if page else "Mist's own"
    return found
