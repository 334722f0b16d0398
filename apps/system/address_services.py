"""Choosing, while Mist runs, under which names it and its apps answer."""

from __future__ import annotations

from urllib.parse import urlsplit

from django.conf import settings
from django.db import transaction

from apps.audit.trail import record
from apps.deployments.tasks import publish_routes, wake
from apps.domains.selectors import domains_below
from apps.domains.services import name_look_up
from apps.engine.errors import InvalidSource
from apps.engine.routes import WILD
from apps.engine.sources import check_host_name
from apps.system.names import automatic_base, base_domain, chosen_names, keep_names, names_lock

BASE_MAX = 253 - 64
"""Characters of a base domain: an app's label and a dot come before it (RFC 1035)."""


def base_domain_change(*, name: str) -> str:
    """Give every app a name below `name` from now on, within a second and without a restart; empty
    for the one that Mist finds by itself. The former names lead nowhere then. Returns what it is.

    Raises `InvalidSource` for a name that is none, that has names of apps below it already, or
    while `MIST_BASE_DOMAIN` says which.
    """
    if settings.MIST_BASE_DOMAIN:
        raise InvalidSource(
            f"MIST_BASE_DOMAIN says {settings.MIST_BASE_DOMAIN}.",
            hint="Take it out of the environment, or mist.env, to choose here.",
        )
    wanted = check_base_domain(name) if name.strip() else ""
    with names_lock(), transaction.atomic():
        if wanted:
            _see_that_nothing_is_below(wanted)
        before = base_domain()
        record(
            "base_domain.change", name=wanted or "the one found by itself",
            before={"base_domain": chosen_names().base_domain}, after={"base_domain": wanted},
        )  # fmt: skip
        transaction.on_commit(lambda: _moved(wanted))
    after = wanted or automatic_base()
    if after != before:
        name_look_up(host=f"{WILD}{after}")
    return after


def check_base_domain(text: str) -> str:
    """A host name that leaves room for labels, without the `*.` that people write before it. Raises
    `InvalidSource`."""
    name = check_host_name(text.strip().removeprefix(WILD))
    if "." not in name and name != "localhost":
        raise InvalidSource("A base domain has two parts or more, for example apps.example.com.")
    if len(name) > BASE_MAX:
        raise InvalidSource(f"A base domain has at most {BASE_MAX} characters.")
    if f".{name}".endswith(".mist.internal"):
        raise InvalidSource("Names below mist.internal are for Mist itself.")
    return name


def _moved(wanted: str) -> None:
    keep_names(base_domain=wanted)
    wake(publish_routes)


def _see_that_nothing_is_below(name: str) -> None:
    taken = [f"{one.shown} of {one.app}" for one in domains_below(name)[:4]]
    if taken:
        more = ", and more" if len(taken) > 3 else ""
        raise InvalidSource(
            f"{', '.join(taken[:3])}{more} {'is' if len(taken) == 1 else 'are'} in the way.",
            hint=f"Names directly below {name} would be given out by Mist. Remove what is there, "
            "or choose a name of its own, for example apps.example.com.",
        )
    host = urlsplit(settings.MIST_URL).hostname
    insists = settings.SECURE_HSTS_SECONDS and settings.SECURE_HSTS_INCLUDE_SUBDOMAINS
    if insists and host and f".{name}".endswith(f".{host}"):
        raise InvalidSource(
            f"Browsers that know the dashboard insist on HTTPS for all names below {host}.",
            hint="Set MIST_HSTS_SUBDOMAINS=false first, or choose a name beside it.",
        )
