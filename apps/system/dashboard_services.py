"""Giving the dashboard a name of its own, without locking its owner out.

A name is on trial first: both it and the former address lead to the dashboard, until somebody comes
by the name with the link that only who asked for it sees. When nobody does, it goes back by itself.
Its certificate is asked for meanwhile, and nobody is sent on to HTTPS before it is served.
"""

from __future__ import annotations

import hmac
import time

from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.crypto import salted_hmac

from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments import events
from apps.deployments.tasks import wake
from apps.domains.models import Domain
from apps.domains.services import name_look_up
from apps.domains.tasks import settle_certificates
from apps.engine.errors import InvalidSource
from apps.engine.sources import check_host_name
from apps.projects.https_models import HttpsBy, origin
from apps.projects.models import App
from apps.system.names import ChosenNames, base_domain, chosen_names, keep_names, names_lock
from apps.system.tasks import settle_dashboard

TRIAL_SECONDS = 60.0
_NO_TRIAL = {"trial_host": "", "trial_until": 0.0, "trial_by": 0}


def dashboard_name_save(*, host: str, https: HttpsBy, by: User) -> None:
    """Lead the name to the dashboard for a minute, within which `by` has to confirm it there; with
    `https` for where its certificate comes from. One that it has already has no need to be
    confirmed, and any other one that is on trial ends.

    Raises `InvalidSource` for a name that is none or an app's, or while `MIST_URL` says which.
    """
    _see_that_it_is_chosen_here()
    name = check_host_name(host.strip())
    if "." not in name:
        raise InvalidSource("The dashboard's name has two parts or more: mist.example.com.")
    with names_lock(), transaction.atomic():
        names = chosen_names()
        if name == names.dashboard:
            _change_https(names, https)
            return
        _see_that_no_app_has(name)
        before = {"dashboard": names.dashboard, "https": names.https}
        after = {"dashboard": name, "https": https.value}
        record("dashboard_name.try", name=name, before=before, after=after)
        trial = {"trial_host": name, "trial_until": time.time() + TRIAL_SECONDS, "trial_by": by.pk}
        transaction.on_commit(lambda: _keep(given_up="", trial_https=https.value, **trial))
        name_look_up(host=name)


def dashboard_name_drop(*, by: User) -> None:
    """The dashboard answers under its former address alone."""
    _see_that_it_is_chosen_here()
    with names_lock(), transaction.atomic():
        before = chosen_names().dashboard
        if before or chosen_names().trial_host:
            record("dashboard_name.drop", name=before, before={"dashboard": before})
            transaction.on_commit(lambda: _keep(dashboard="", given_up="", **_NO_TRIAL))


def dashboard_name_confirm(*, host: str, token: str) -> bool:
    """Somebody came by the name with the link's secret: from now on it is the dashboard's. False
    when it is not that name's secret, or its minute is over."""
    with names_lock(), transaction.atomic():
        names = chosen_names()
        right = names.has_trial and host == names.trial_host
        if not right or not hmac.compare_digest(_token(names).encode(), token.encode()):
            return False
        before = {"dashboard": names.dashboard}
        record("dashboard_name.confirm", name=host, before=before, after={"dashboard": host})
        # Here, not after the commit: the answer says that it is done.
        keep_names(dashboard=host, https=names.trial_https, given_up="", **_NO_TRIAL)
        transaction.on_commit(_tell)
    return True


def confirm_link(by: User) -> str:
    """The address at the name on trial that confirms it; empty for who did not ask for it."""
    names = chosen_names()
    if not names.has_trial or names.trial_by != by.pk:
        return ""
    path = reverse("dashboard_confirm", args=[_token(names)])
    return f"{origin(names.trial_host)}{path}"


# ------------------------------------------------------------------------------------------ parts


def _keep(**changes: object) -> None:
    keep_names(**changes)
    _tell()


def _change_https(names: ChosenNames, https: HttpsBy) -> None:
    before, after = {"https": names.https}, {"https": https.value}
    if before != after:
        record("dashboard_name.https", name=names.dashboard, before=before, after=after)
    transaction.on_commit(lambda: _keep(https=https.value, given_up="", **_NO_TRIAL))


def _tell() -> None:
    wake(settle_certificates, settle_dashboard)
    events.publish(events.LOBBY, {"type": "mist.changed"})


def _token(names: ChosenNames) -> str:
    """Made of the trial itself, so nothing is kept that could leak, and it ends with it."""
    trial = f"{names.trial_host} {names.trial_by} {names.trial_until!r}"
    return salted_hmac("mist.dashboard-name", trial, algorithm="sha256").hexdigest()


def _see_that_it_is_chosen_here() -> None:
    if settings.MIST_URL:
        raise InvalidSource(
            f"MIST_URL says {settings.MIST_URL}.",
            hint="Take it out of the environment, or mist.env, to choose here.",
        )


def _see_that_no_app_has(name: str) -> None:
    domain = Domain.objects.filter(host=name).select_related("app__project").first()
    label, _, base = name.partition(".")
    app = App.objects.select_related("project").filter(label=label).first()
    if domain is not None:
        raise InvalidSource(f"{name} belongs to the app {domain.app} already.")
    if app is not None and base == base_domain():
        raise InvalidSource(f"{name} belongs to the app {app} already.")
