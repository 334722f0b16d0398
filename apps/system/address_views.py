"""The page of the names under which this Mist and its apps answer."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import InstanceRole
from apps.deployments.feeds import anything
from apps.domains.cards import dns_cards
from apps.domains.services import base_check
from apps.engine.errors import InvalidSource
from apps.engine.routes import WILD
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.system.address_forms import BaseDomainForm
from apps.system.address_services import base_domain_change
from apps.system.names import automatic_base, base_domain, chosen_names


@allow(InstanceRole.ADMIN, sudo="write")
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(anything)
def addresses(request: HttpRequest) -> HttpResponse:
    """A POST chooses the base domain."""
    if request.method != "POST":
        initial = {"base_domain": chosen_names().base_domain}
        return _page(request, base_form=BaseDomainForm(initial=initial))
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
    """Ask the DNS for the base domain's wildcard, behind the page."""
    base_check()
    return redirect("addresses")


def _page(request: HttpRequest, **forms: Any) -> HttpResponse:
    base = base_domain()
    wild = f"{WILD}{base}"
    cards = dns_cards([wild], check_url=reverse("base_name_check"))
    context = {
        "title": "Addresses",
        "crumbs": [("Settings", reverse("settings")), ("Addresses", None)],
        "nav": "settings",
        "base": base,
        "wild": wild,
        "dns": cards[wild],
        "automatic": automatic_base(),
        "is_automatic": not (settings.MIST_BASE_DOMAIN or chosen_names().base_domain),
        "base_from": "MIST_BASE_DOMAIN" if settings.MIST_BASE_DOMAIN else "",
        "wildcard_dns": settings.MIST_WILDCARD_DNS,
        **forms,
    }
    return render_page(request, "addresses.html", context)
