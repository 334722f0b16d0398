"""An app's host names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.deployments.feeds import of_app
from apps.domains import services
from apps.domains.cards import DnsCard, dns_cards
from apps.domains.certificate_forms import CertificateForm, HttpsForm
from apps.domains.certificates import own_by
from apps.domains.decisions import Known, known_of
from apps.domains.forms import DomainForm, MoveForm
from apps.domains.https import Kind, State
from apps.domains.models import Domain
from apps.domains.selectors import domains_of, is_public_name, waiting_ports
from apps.engine.errors import InvalidSource
from apps.live.pages import live_page, render_page
from apps.projects.access import access, allow
from apps.projects.app_views import app_crumbs, app_frame, ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.https_models import HttpsBy
from apps.projects.models import App, ProjectRole
from apps.projects.selectors import apps_changeable_by


@dataclass(frozen=True)
class NameRow:
    """One line of the page: a domain, or without one the app's own name."""

    dns: DnsCard
    https: State
    domain: Domain | None = None
    is_first: bool = True
    """Of several paths of one name, the one that says what is to be done."""

    @property
    def shown(self) -> str:
        return self.domain.shown if self.domain else self.dns.host


def _cards(request: HttpRequest, app: App, domains: list[Domain]) -> dict[str, DnsCard]:
    url = reverse("name_check", args=[app.project.slug, app.slug])
    may_ask = access(request).allows(ProjectRole.DEVELOPER)
    return dns_cards([app.host, *(one.host for one in domains)], check_url=url if may_ask else "")


def _name_rows(
    app: App, domains: list[Domain], known: Known, cards: dict[str, DnsCard]
) -> list[NameRow]:
    seen: set[str] = set()
    rows = [NameRow(cards[app.host], known.state(app.host, own_by(app)))]
    for one in domains:
        https = known.state(one.host, HttpsBy(one.https))
        rows.append(NameRow(cards[one.host], https, one, one.host not in seen))
        seen.add(one.host)
    return rows


def domain_of(app: App, pk: int) -> Domain:
    return get_object_or_404(domains_of(app), pk=pk)


@allow(ProjectRole.VIEWER, write=ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def app_domains(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = DomainForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            made = services.domain_add(
                app=found, created_by=cast(User, request.user), **form.cleaned_data
            )
        except InvalidSource as error:
            form.add_error("host", " ".join(filter(None, [error.sentence, error.hint])))
        else:
            leads = "leads to" if found.has_address else "is kept for"
            messages.success(request, f"{made.shown} {leads} {found.slug} now.")
            return redirect("app_domains", project, app)
    return domains_page(request, found, form=form)


def domains_page(request: HttpRequest, app: App, **more: Any) -> HttpResponse:
    """The app's names, with forms in `more` in place of empty ones."""
    domains = list(domains_of(app).select_related("created_by"))
    cards = _cards(request, app, domains)
    checks = {host: card.check for host, card in cards.items() if card.check is not None}
    known = known_of(app, domains, checks=checks)
    rows = _name_rows(app, domains, known, cards)
    context = {
        **app_frame(app, "Domains"),
        "form": DomainForm(),
        "https_form": HttpsForm(app=app),
        "rows": rows,
        "is_self_signed": any(one.kind == Kind.LOCAL for one in known.served.values()),
        "waiting_ports": waiting_ports(app) if any(one.port for one in domains) else (),
        "certificates": known.orders_to_tell,
    }
    return render_page(request, "app_domains.html", context | more)


@allow(ProjectRole.DEVELOPER)
@require_POST
def name_check(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Ask the DNS for one of the app's names, behind the page."""
    found = find_app(request, project, app)
    host = request.POST.get("host", "")
    known = host == found.host or domains_of(found).filter(host=host).exists()
    if known and is_public_name(host):
        services.name_check(app=found, host=host)
    else:
        messages.error(request, "That is no name of this app that the DNS knows.")
    return redirect("app_domains", project, app)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def domain(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    """What one domain leads to."""
    found = find_app(request, project, app)
    row = domain_of(found, pk)
    form = DomainForm(request.POST if request.method == "POST" else None, instance=row)
    if form.is_valid():
        try:
            services.domain_change(domain=row, **form.cleaned_data)
        except InvalidSource as error:
            form.add_error("path", " ".join(filter(None, [error.sentence, error.hint])))
        else:
            messages.success(request, f"{row.shown} was changed.")
            return redirect("app_domains", project, app)
    return domain_page(request, found, row, form=form)


def domain_page(request: HttpRequest, app: App, row: Domain, **more: Any) -> HttpResponse:
    """One name's page, with forms in `more` in place of empty ones."""
    others = _other_apps(request, app)
    context: dict[str, Any] = {
        "title": f"{row.shown} · {app.slug}",
        "crumbs": app_crumbs(app, row.shown),
        "nav": "projects",
        "project": app.project,
        "app": app,
        "domain": row,
        "form": DomainForm(instance=row),
        "move": MoveForm(apps=others) if others.exists() else None,
        "certificate_form": CertificateForm(),
    }
    return render(request, "domain.html", context | more)


def _other_apps(request: HttpRequest, app: App) -> QuerySet[App]:
    """Where a name of `app` may go: apps of projects that the person develops in."""
    user = cast(User, request.user)
    return apps_changeable_by(user).exclude(pk=app.pk).select_related("project")


@allow(ProjectRole.DEVELOPER)
@require_POST
def domain_move(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    row = domain_of(found, pk)
    form = MoveForm(request.POST, apps=_other_apps(request, found))
    if form.is_valid():
        to: App = form.cleaned_data["to"]
        try:
            services.domain_move(domain=row, to=to)
        except InvalidSource as error:
            form.add_error("to", " ".join(filter(None, [error.sentence, error.hint])))
        else:
            messages.success(request, f"{row.shown} leads to {to} now.")
            return redirect("app_domains", to.project.slug, to.slug)
    return domain_page(request, found, row, move=form)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def domain_delete(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    domain = domain_of(found, pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove {domain.shown}?",
            text=f"Within a second visitors of {domain.shown} no longer reach {found.slug}. "
            "Its other addresses go on to work.",
            button="Remove domain",
            back=reverse("app_domains", args=[project, app]),
            keep="Keep domain",
        )
        return ask_about(request, found, question, last="Remove domain")
    services.domain_remove(domain=domain)
    messages.success(request, f"{domain.shown} was removed.")
    return redirect("app_domains", project, app)
