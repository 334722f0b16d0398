"""The page of the names under which this Mist and its apps answer."""

from __future__ import annotations

import datetime as dt
from http import HTTPStatus
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments.feeds import anything
from apps.domains.acme import orders_of
from apps.domains.acme_services import certificate_retry
from apps.domains.cards import dns_cards
from apps.domains.dashboard import dashboard_state
from apps.domains.services import base_check
from apps.engine.errors import InvalidSource
from apps.engine.routes import WILD
from apps.live.pages import live_page, render_page
from apps.projects.access import EVERYBODY, allow
from apps.projects.https_models import HttpsBy
from apps.system.address_forms import BaseDomainForm, DashboardNameForm
from apps.system.address_services import base_domain_change
from apps.system.dashboard_services import (
    confirm_link,
    dashboard_name_confirm,
    dashboard_name_drop,
    dashboard_name_save,
)
from apps.system.names import base_domain, chosen_names, dashboard_names
from apps.system.planning import dashboard_url, name_of


@allow(InstanceRole.ADMIN, sudo="write")
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(anything)
def addresses(request: HttpRequest) -> HttpResponse:
    """A POST chooses the base domain."""
    if request.method != "POST":
        return _page(request)
    form = BaseDomainForm(request.POST)
    if form.is_valid():
        try:
            made = base_domain_change(name=form.cleaned_data["base_domain"])
        except InvalidSource as error:
            form.refuse("base_domain", error)
        else:
            messages.success(request, f"Apps have names below {made} now.")
            return redirect("addresses")
    return _page(request, base_form=form)


@allow(InstanceRole.ADMIN)
@require_POST
def base_name_check(request: HttpRequest) -> HttpResponse:
    """Ask the DNS for the base domain's wildcard, or the dashboard's name, behind the page."""
    asked = request.POST.get("host", "")
    base_check(host=asked if asked in dashboard_names() else f"{WILD}{base_domain()}")
    return redirect("addresses")


@allow(InstanceRole.ADMIN, sudo="write")
@require_POST
def dashboard_name(request: HttpRequest) -> HttpResponse:
    """Put a name for the dashboard on trial, or take the one it has away."""
    form, user = DashboardNameForm(request.POST), cast(User, request.user)
    if form.is_valid():
        host = form.cleaned_data["host"].strip()
        try:
            if host:
                dashboard_name_save(host=host, https=form.cleaned_data["https"], by=user)
            else:
                dashboard_name_drop(by=user)
        except InvalidSource as error:
            form.refuse("host", error)
        else:
            return redirect(f"{reverse('addresses')}#dashboard-h")
    return _page(request, dashboard_form=form)


@allow(InstanceRole.ADMIN)
@require_POST
def dashboard_certificate(request: HttpRequest) -> HttpResponse:
    """Have the issuer asked again for the dashboard's certificate."""
    host = request.POST.get("host", "")
    orders = orders_of([host] if host in dashboard_names() else [])
    if host not in orders:
        messages.info(request, "No certificate was asked for under that name.")
    elif certificate_retry(order=orders[host], app=None):
        messages.success(request, f"The issuer is asked again for {host}.")
    else:
        messages.info(request, f"{host} cannot be asked for again right now.")
    return redirect("addresses")


@allow(EVERYBODY)
@never_cache
@require_safe
def dashboard_confirm(request: HttpRequest, token: str) -> HttpResponse:
    """Whoever opens this by the name on trial, with its secret, confirms that it leads here."""
    host = name_of(request.get_host())
    done = request.method == "GET" and dashboard_name_confirm(host=host, token=token)
    context = {"title": "Address", "done": done, "host": host}
    status = HTTPStatus.OK if done else HTTPStatus.GONE
    return render(request, "dashboard_confirmed.html", context, status=status)


def _page(request: HttpRequest, **forms: Any) -> HttpResponse:
    base, names = base_domain(), chosen_names()
    wild = f"{WILD}{base}"
    mine = names.trial_host if names.has_trial else names.dashboard
    way = dashboard_names().get(mine)
    state, order = dashboard_state(mine, HttpsBy(way)) if way else (None, None)
    cards = dns_cards(filter(None, [wild, mine]), check_url=reverse("base_name_check"))
    context = {
        "title": "Addresses",
        "crumbs": [("Settings", reverse("settings")), ("Addresses", None)],
        "nav": "settings",
        "base": base,
        "wild": wild,
        "dns": cards[wild],
        "is_automatic": not (settings.MIST_BASE_DOMAIN or names.base_domain),
        "base_from": "MIST_BASE_DOMAIN" if settings.MIST_BASE_DOMAIN else "",
        "wildcard_dns": settings.MIST_WILDCARD_DNS,
        "base_form": BaseDomainForm(initial={"base_domain": names.base_domain}),
        "dashboard_form": DashboardNameForm(
            initial={"host": mine, "https": way or HttpsBy.AUTOMATIC}
        ),
        "names": names,
        "mine": mine,
        "mine_dns": cards.get(mine),
        "https": state,
        "order": order,
        "is_self_signed": way == HttpsBy.SELF,
        "mist_url": settings.MIST_URL,
        "dashboard_url": dashboard_url(),
        "port": settings.MIST_PORT,
        "confirm_link": confirm_link(cast(User, request.user)),
        "until": dt.datetime.fromtimestamp(names.trial_until, dt.UTC),
        **forms,
    }
    return render_page(request, "addresses.html", context)
