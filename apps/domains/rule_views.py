"""The page of an app's traffic rules, and that of a domain's own."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import BadRequest
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.deployments.feeds import of_app
from apps.domains import rule_services as services
from apps.domains.models import Domain, TrafficRules
from apps.domains.rule_forms import RuleForm, UserForm, rule_forms
from apps.domains.selectors import domains_of, parted_domains, rules_of, users_of
from apps.engine.errors import InvalidSource
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import app_crumbs, app_frame, ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.models import App, ProjectRole

SAVED = "The traffic rules were saved. They are live within a second."


@allow(ProjectRole.VIEWER, write=ProjectRole.DEVELOPER)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def app_traffic(request: HttpRequest, project: str, app: str) -> HttpResponse:
    return _rules_page(request, find_app(request, project, app), None)


@allow(ProjectRole.VIEWER, write=ProjectRole.DEVELOPER)
@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def domain_traffic(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    """The domain's own rules, or that it follows the app's, and a button to give it its own."""
    found = find_app(request, project, app)
    domain = get_object_or_404(domains_of(found).select_related("rules"), pk=pk)
    if request.method == "POST" and request.POST.get("rule") == "own":
        services.rules_part(domain=domain)
        messages.success(request, f"{domain.shown} has rules of its own now.")
        return redirect("domain_traffic", project, app, pk)
    return _rules_page(request, found, domain)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def domain_traffic_join(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    domain = get_object_or_404(domains_of(found), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove the rules of {domain.shown}?",
            text=f"Its own rules, users and passwords are deleted. Within a second the rules of "
            f"{found.slug} hold for its visitors.",
            button="Remove rules",
            back=reverse("domain_traffic", args=[project, app, pk]),
            keep="Keep rules",
        )
        return ask_about(request, found, question, last="Remove rules")
    services.rules_join(domain=domain)
    messages.success(request, f"{domain.shown} follows the rules of {found.slug} now.")
    return redirect("domain_traffic", project, app, pk)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def traffic_user_remove(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    user = get_object_or_404(users_of(found), pk=pk)
    domain = user.rules.domain
    back = _address(found, domain)
    if request.method != "POST":
        last = user.rules.users.count() == 1
        question = Question(
            heading=f"Remove {user}?",
            text="Nobody is asked for a password then: everybody comes in."
            if last
            else f"Within a second {user} no longer comes in. The others do.",
            button="Remove user",
            back=back,
            keep="Keep user",
        )
        return ask_about(request, found, question, last="Remove user")
    services.user_remove(user=user)
    messages.success(request, f"{user} was removed.")
    return redirect(back)


# ------------------------------------------------------------------------------------------ parts


def _address(app: App, domain: Domain | None) -> str:
    where = [app.project.slug, app.slug]
    if domain is None:
        return reverse("app_traffic", args=where)
    return reverse("domain_traffic", args=[*where, domain.pk])


def _rules_page(request: HttpRequest, app: App, domain: Domain | None) -> HttpResponse:
    own: TrafficRules | None = getattr(domain, "rules", None)
    rules = own or rules_of(app)
    data = request.POST if request.method == "POST" else None
    forms = rule_forms(rules, data)
    if data is not None:
        form = forms.get(data.get("rule", ""))
        if form is None or (domain is not None and own is None):
            raise BadRequest("There is no such rule.")
        if form.is_valid() and _save(request, app, domain, form):
            return redirect(_address(app, domain))
    context = {
        **app_frame(app, "Domains"),
        "title": f"Traffic · {domain.shown if domain else app.slug}",
        "crumbs": [*app_crumbs(app, "Domains")[:-1], *_last_crumbs(app, domain)],
        "live_path": _address(app, domain),
        "domain": domain,
        "own": own,
        "rules": rules,
        "forms": forms,
        "users": list(rules.users.defer("password_hash")) if rules.pk else [],
        "parted": [] if domain else parted_domains(app),
    }
    return render_page(request, "app_traffic.html", context, parts="_app_head.html")


def _last_crumbs(app: App, domain: Domain | None) -> list[tuple[str, str | None]]:
    domains = reverse("app_domains", args=[app.project.slug, app.slug])
    names: list[tuple[str, str | None]] = [("Domains", domains)]
    return [*names, *([(domain.shown, None)] if domain else []), ("Traffic", None)]


def _save(request: HttpRequest, app: App, domain: Domain | None, form: RuleForm) -> bool:
    """Whether it was saved; else the form says why not."""
    if not isinstance(form, UserForm):
        services.rules_change(app=app, domain=domain, **form.settings())
        messages.success(request, SAVED)
        return True
    given: dict[str, Any] = form.cleaned_data
    try:
        user = services.user_save(app=app, domain=domain, by=cast(User, request.user), **given)
    except InvalidSource as error:
        form.add_error("name", error.sentence)
        return False
    messages.success(request, f"{user} comes in with that password now.")
    return True
