"""An app's host names."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from apps.accounts.models import User
from apps.deployments.feeds import of_app
from apps.domains.forms import DomainForm
from apps.domains.selectors import domains_of
from apps.domains.services import domain_add, domain_remove
from apps.engine.errors import InvalidSource
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import app_frame, ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.models import ProjectRole


@allow(ProjectRole.VIEWER, write=ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def app_domains(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = DomainForm(request.POST if request.method == "POST" else None)
    if form.is_valid():
        try:
            domain = domain_add(
                app=found, host=form.cleaned_data["host"], created_by=cast(User, request.user)
            )
        except InvalidSource as error:
            form.add_error("host", " ".join(filter(None, [error.sentence, error.hint])))
        else:
            leads = "leads to" if found.has_address else "is kept for"
            messages.success(request, f"{domain} {leads} {found.slug} now.")
            return redirect("app_domains", project, app)
    domains = list(domains_of(found).select_related("created_by"))
    context = {**app_frame(found, "Domains"), "form": form, "domains": domains}
    return render_page(request, "app_domains.html", context, parts="_app_head.html")


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def domain_delete(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    domain = get_object_or_404(domains_of(found), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove {domain}?",
            text=f"Within a second visitors of {domain} no longer reach {found.slug}. "
            "Its other addresses go on to work.",
            button="Remove domain",
            back=reverse("app_domains", args=[project, app]),
            keep="Keep domain",
        )
        return ask_about(request, found, question, last="Remove domain")
    domain_remove(domain=domain)
    messages.success(request, f"{domain} was removed.")
    return redirect("app_domains", project, app)
