"""The instance's page of certificates, and asking again for one."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.deployments.feeds import anything
from apps.domains import acme_services as services
from apps.domains.acme import acme_settings, troubled_orders
from apps.domains.acme_forms import AcmeForm, DnsAccountForm, ProviderForm
from apps.domains.acme_models import CertificateOrder, DnsAccount
from apps.domains.selectors import domains_of
from apps.engine.dns_providers import PROVIDERS
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import find_app
from apps.projects.confirmation import Question, ask
from apps.projects.models import ProjectRole

TROUBLED_MAX = 20


def _frame(last: str = "") -> dict[str, Any]:
    crumbs: list[tuple[str, str | None]] = [("Settings", reverse("settings"))]
    crumbs.append(("Certificates", reverse("acme") if last else None))
    if last:
        crumbs.append((last, None))
    return {"title": last or "Certificates", "crumbs": crumbs, "nav": "settings"}


@allow(InstanceRole.ADMIN, sudo="write")
@sensitive_post_parameters("eab_key")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(anything)
def acme(request: HttpRequest) -> HttpResponse:
    """Who issues certificates and how names are proven."""
    row = acme_settings()
    form = AcmeForm(request.POST if request.method == "POST" else None, row=row)
    if form.is_valid():
        services.acme_save(changed_by=cast(User, request.user), **form.settings)
        messages.success(request, "The settings were saved. Traefik is told of them now.")
        return redirect("acme")
    orders, more = troubled_orders(TROUBLED_MAX)
    context = {
        **_frame(),
        "form": form,
        "row": row,
        "accounts": DnsAccount.objects.defer("variables").select_related("created_by"),
        "providers": ProviderForm(),
        "orders": orders,
        "more_orders": more,
    }
    return render_page(request, "acme.html", context)


@allow(InstanceRole.ADMIN)
@require_safe
def acme_dns_choose(request: HttpRequest) -> HttpResponse:
    """On to the form of the provider that was chosen from the list."""
    provider = request.GET.get("provider", "")
    return redirect("acme_dns", provider) if provider in PROVIDERS else redirect("acme")


@allow(InstanceRole.ADMIN, sudo="write")
@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def acme_dns(request: HttpRequest, provider: str) -> HttpResponse:
    """Credentials for that provider."""
    known = PROVIDERS.get(provider)
    if known is None:
        raise Http404
    account = DnsAccount.objects.filter(provider=provider).first()
    data = request.POST if request.method == "POST" else None
    form = DnsAccountForm(data, provider=known, account=account)
    if form.is_valid():
        services.dns_account_save(
            provider=provider, created_by=cast(User, request.user), **form.settings
        )
        messages.success(request, f"The credentials for {known.name} were saved.")
        return redirect("acme")
    context = {**_frame(known.name), "form": form, "provider": known}
    return render_page(request, "acme_dns.html", context)


@allow(InstanceRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def acme_dns_remove(request: HttpRequest, pk: int) -> HttpResponse:
    account = get_object_or_404(DnsAccount.objects.defer("variables"), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove the credentials for {account}?",
            text="Traefik starts anew without them, and without the certificates that were proven "
            "with them: names of those wildcards have none then.",
            button="Remove credentials",
            back=reverse("acme"),
            keep="Keep credentials",
        )
        return ask(request, question, _frame("Remove credentials"))
    services.dns_account_remove(account=account)
    messages.success(request, f"The credentials for {account} were removed.")
    return redirect("acme")


@allow(ProjectRole.DEVELOPER)
@require_POST
def certificate_retry(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Have the issuer asked again for one name of the app."""
    found = find_app(request, project, app)
    host = request.POST.get("host", "")
    is_here = host == found.host or domains_of(found).filter(host=host).exists()
    order = CertificateOrder.objects.filter(host=host).first() if is_here else None
    if order is None:
        messages.info(request, "No certificate was asked for under that name.")
    elif services.certificate_retry(order=order, app=found):
        messages.success(request, f"The issuer is asked again for {host}.")
    else:
        messages.info(request, f"{host} cannot be asked for again right now.")
    return redirect("app_domains", project, app)
