"""The instance's GitHub Apps: making them, where they are installed, which projects use them."""

from __future__ import annotations

import json
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.engine.errors import EngineError
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.projects.models import Project
from apps.sources import github_services as services
from apps.sources.github import github_apps
from apps.sources.github_forms import GitHubAppForm, OpenForm
from apps.sources.manifest import can_hear, install_url, page_url
from apps.sources.models import GitHubApp, GitHubLink, Installation
from apps.system.planning import dashboard_url

NONCES = "github_nonces"
"""In the session: who was sent to GitHub from here."""
NONCES_MAX = 5


def _crumbs(last: str = "") -> list[tuple[str, str | None]]:
    crumbs: list[tuple[str, str | None]] = [("Settings", reverse("settings"))]
    if not last:
        return [*crumbs, ("GitHub", None)]
    return [*crumbs, ("GitHub", reverse("github")), (last, None)]


@allow(InstanceRole.ADMIN)
@require_safe
def github(request: HttpRequest) -> HttpResponse:
    apps = list(github_apps())
    context = {
        "title": "GitHub",
        "crumbs": _crumbs(),
        "nav": "settings",
        "apps": [(one, page_url(one), install_url(one)) for one in apps],
        "projects": list(Project.objects.order_by("slug")),
        "here": dashboard_url(),
    }
    return render(request, "github.html", context)


@allow(InstanceRole.ADMIN, sudo="write")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def github_new(request: HttpRequest) -> HttpResponse:
    """The form, and then the way to GitHub: a form of GitHub's with what Mist asks for, which the
    person sends off there."""
    form = GitHubAppForm(request.POST or None, initial={"name": "Mist"})
    context: dict[str, Any] = {
        "title": "New GitHub App",
        "crumbs": _crumbs("New GitHub App"),
        "nav": "settings",
        "form": form,
        "here": dashboard_url(),
    }
    if not form.is_valid():
        return render(request, "github_new.html", context)
    begun = services.github_app_begin(
        address=form.address,
        account=form.cleaned_data["account"],
        name=form.cleaned_data["name"],
        is_public=form.cleaned_data["is_public"],
        by=cast(User, request.user),
    )
    nonces = request.session.get(NONCES, [])
    request.session[NONCES] = [*nonces, begun.nonce][-NONCES_MAX:]
    context |= {
        "begun": begun,
        "manifest": json.dumps(begun.manifest),
        "address": form.address,
        "hears": can_hear(form.address),
    }
    answer = render(request, "github_leave.html", context)
    # The one page whose form goes elsewhere, and there only.
    sending: Any = answer
    sending._csp_update = {"form-action": [form.address.html_url]}
    return answer


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def github_made(request: HttpRequest) -> HttpResponse:
    """Where GitHub sends the browser back to with a code, once it has made the App."""
    state, code = request.GET.get("state", ""), request.GET.get("code", "")
    nonces = request.session.get(NONCES, [])
    try:
        github_app = services.github_app_finish(
            state=state, code=code, nonces=nonces, by=cast(User, request.user)
        )
    except services.StateRefused as error:
        messages.error(request, f"No GitHub App was added. {error}")
        return redirect("github")
    except EngineError as error:
        words = f"{error.sentence} {error.hint}".strip()
        messages.error(request, f"{words} Delete the new App on GitHub, then make it again here.")
        return redirect("github")
    messages.success(request, f"{github_app} was made. Install it where your repositories are.")
    return redirect("github")


@allow(InstanceRole.ADMIN)
@never_cache
@require_safe
def github_installed(request: HttpRequest, public_id: str) -> HttpResponse:
    """Where GitHub sends the browser back to once the App is installed. What the address says
    counts for nothing: GitHub is asked."""
    _sync(request, get_object_or_404(GitHubApp, public_id=public_id))
    return redirect("github")


@allow(InstanceRole.ADMIN)
@require_POST
def github_refresh(request: HttpRequest, pk: int) -> HttpResponse:
    _sync(request, get_object_or_404(GitHubApp, pk=pk))
    return redirect("github")


def _sync(request: HttpRequest, github_app: GitHubApp) -> None:
    try:
        count = services.installations_sync(github_app=github_app)
    except EngineError as error:
        messages.error(request, f"{error.sentence} {error.hint}".strip())
        return
    words = "1 account" if count == 1 else f"{count} accounts"
    messages.success(request, f"{github_app} is installed in {words}.")


@allow(InstanceRole.ADMIN)
@require_POST
def installation_projects(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(Installation.objects.select_related("github_app"), pk=pk)
    form = OpenForm(request.POST, installation=found)
    if form.is_valid():
        services.installation_open(installation=found, projects=form.cleaned_data["projects"])
        messages.success(request, f"Who uses {found.account} was saved.")
    else:
        messages.error(request, "One of these projects is gone. Choose again.")
    return redirect("github")


@allow(InstanceRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def github_delete(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(GitHubApp, pk=pk)
    if request.method == "POST":
        services.github_app_delete(github_app=found)
        messages.success(request, f"{found} was deleted here. Delete it on GitHub as well.")
        return redirect("github")
    count = GitHubLink.objects.filter(installation__github_app=found).count()
    uses = {0: "No app uses it.", 1: "1 app uses it: it runs on, and cannot be deployed."}
    question = Question(
        heading=f"Delete {found}?",
        text=uses.get(count, f"{count} apps use it: they run on, and cannot be deployed.")
        + f" On GitHub it stays until you delete it there, on {page_url(found)}.",
        button="Delete GitHub App",
        back=reverse("github"),
        keep="Keep GitHub App",
    )
    return ask(request, question, {"crumbs": _crumbs("Delete"), "nav": "settings"})
