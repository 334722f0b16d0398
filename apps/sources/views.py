"""Where an app comes from, and what deploys it by itself."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.views.decorators.http import require_http_methods

from apps.deployments.feeds import of_app
from apps.live.pages import live_page, render_page
from apps.projects.access import allow
from apps.projects.app_views import app_frame, find_app
from apps.projects.forms import AppForm
from apps.projects.models import App, ProjectRole
from apps.projects.services import app_update
from apps.sources.access_card import access_card
from apps.sources.github_card import github_card
from apps.sources.hook_cards import webhooks_card
from apps.sources.kept_card import kept_card
from apps.sources.source_image import image_card


def source_page(request: HttpRequest, app: App, **more: Any) -> HttpResponse:
    """The page, with forms in `more` in place of empty ones."""
    context: dict[str, Any] = {
        **app_frame(app, "Source"),
        "form": AppForm(project=app.project, instance=app, part=AppForm.SOURCE),
        **access_card(request, app),
        **webhooks_card(request, app),
        **github_card(request, app),
        **kept_card(request, app),
    }
    context |= image_card(request, app)
    context |= more
    return render_page(request, "app_source.html", context)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
@live_page(of_app)
def app_source(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    owner = found.project
    form = AppForm(request.POST or None, project=owner, instance=found, part=AppForm.SOURCE)
    if not form.is_valid():
        return source_page(request, found, form=form)
    app_update(app=found, **form.settings())
    messages.success(request, "Saved. It counts from the next deployment on.")
    return redirect("app_source", project, app)
