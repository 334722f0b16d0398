"""An app's volumes and ports of the server, on its settings page."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.db import IntegrityError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.projects import services
from apps.projects.access import allow
from apps.projects.app_views import ask_about, find_app, settings_page
from apps.projects.confirmation import Question
from apps.projects.holding_forms import HostPortForm, VolumeForm
from apps.projects.models import App, HostPort, ProjectRole
from apps.projects.selectors import host_ports_of, volumes_of

JUST_TAKEN = "Somebody has just taken this. Choose another one."
NEXT = "It counts from the next deployment on."


@allow(ProjectRole.DEVELOPER)
@require_POST
def volume_add(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = VolumeForm(request.POST, app=found)
    if form.is_valid():
        user = cast(User, request.user)
        try:
            volume = services.volume_add(app=found, created_by=user, **form.cleaned_data)
        except IntegrityError:
            form.add_error("name", JUST_TAKEN)
        else:
            messages.success(request, f"The volume {volume} was added. {NEXT}")
            return redirect("app_settings", project, app)
    return settings_page(request, found, volume_form=form)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def volume_remove(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    volume = get_object_or_404(volumes_of(found), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove the volume {volume}?",
            text=f"From the next deployment on {found.slug} no longer finds its data at "
            f"{volume.path}. The data stays on the server, and a volume of the same name brings "
            f"it back. To erase it then: docker volume rm {volume.volume_name}",
            button="Remove volume",
            back=reverse("app_settings", args=[project, app]),
            keep="Keep volume",
        )
        return ask_about(request, found, question, last="Remove volume")
    services.volume_remove(volume=volume)
    messages.success(
        request, f"The volume {volume} was removed. Its data stays in {volume.volume_name}."
    )
    return redirect("app_settings", project, app)


@allow(ProjectRole.DEVELOPER)
@require_POST
def host_port_add(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    user = cast(User, request.user)
    low = services.may_open_low_ports(user)
    form = HostPortForm(request.POST, app=found, held=ports_held(found), low=low)
    if form.is_valid():
        try:
            port = services.host_port_add(app=found, created_by=user, **form.cleaned_data)
        except IntegrityError:
            form.add_error("port", JUST_TAKEN)
        else:
            messages.success(request, f"Port {port} leads to {found.slug} after a deployment.")
            return redirect("app_settings", project, app)
    return settings_page(request, found, host_port_form=form)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def host_port_remove(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    port: HostPort = get_object_or_404(host_ports_of(found), pk=pk)
    if request.method != "POST":
        question = Question(
            heading=f"Remove port {port}?",
            text=f"The running version keeps it until the next deployment of {found.slug}. "
            "Then nothing answers there any more.",
            button="Remove port",
            back=reverse("app_settings", args=[project, app]),
            keep="Keep port",
        )
        return ask_about(request, found, question, last="Remove port")
    services.host_port_remove(host_port=port)
    messages.success(request, f"Port {port} was removed. {NEXT}")
    return redirect("app_settings", project, app)


def ports_held(app: App) -> set[str]:
    """Ports of the server that the app's running version has now."""
    record: dict[str, Any] | None = app.live_record  # type: ignore[attr-defined]
    return set((record or {}).get("ports", {}))
