"""The card Access of an app's page Source: tokens, deploy keys and SSH servers."""

from __future__ import annotations

import threading
from typing import Any, cast

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.models import User
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.engine.errors import EngineError, HostKeyRefused
from apps.engine.repository_place import Place, place_of
from apps.projects.access import allow
from apps.projects.app_views import ask_about, find_app
from apps.projects.confirmation import Question
from apps.projects.models import App, ProjectRole
from apps.sources import credential_services as services
from apps.sources.access import git_access
from apps.sources.credential_forms import HostKeyForm, TokenForm
from apps.sources.models import GitCredential, KnownHost
from apps.sources.views import source_page

ASK_SECONDS = 8.0
SHOWN_BRANCHES = 10
NOT_SSH = "The repository's address is not one for SSH, so there is no key to confirm."
_asking = threading.BoundedSemaphore(1)
"""A host that does not answer keeps one of the threads that answer pages, never all of them."""


@allow(ProjectRole.DEVELOPER, sudo="write")
@sensitive_post_parameters("token")
@never_cache
@require_POST
def git_token_save(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    form = TokenForm(request.POST)
    if not form.is_valid():
        return source_page(request, found, token_form=form)
    services.git_token_save(app=found, saved_by=cast(User, request.user), **form.cleaned_data)
    messages.success(request, "The token was saved. Nobody is shown it again.")
    return _back(project, app)


@allow(ProjectRole.DEVELOPER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def deploy_key_make(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    if request.method != "POST":
        question = Question(
            heading="Make a new deploy key?",
            text="It takes the place of what opens the repository now. Deployments fail until the "
            "new key's public half has been added at the Git host.",
            button="Make new key",
            back=reverse("app_source", args=[project, app]),
        )
        return ask_about(request, found, question, last="Make deploy key")
    services.deploy_key_make(app=found, made_by=cast(User, request.user))
    messages.success(request, "The key was made. Add its public half at the Git host.")
    return _back(project, app)


@allow(ProjectRole.DEVELOPER, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def git_credential_remove(request: HttpRequest, project: str, app: str) -> HttpResponse:
    found = find_app(request, project, app)
    what = "token"
    if GitCredential.objects.filter(app=found, kind=GitCredential.Kind.KEY).exists():
        what = "deploy key"
    if request.method != "POST":
        question = Question(
            heading=f"Remove the {what}?",
            text=f"{found.slug} can be deployed then only from a public repository. What runs "
            "keeps running. At the Git host it stays until you remove it there.",
            button=f"Remove {what}",
            back=reverse("app_source", args=[project, app]),
            keep=f"Keep {what}",
        )
        return ask_about(request, found, question, last=f"Remove {what}")
    services.git_credential_remove(app=found)
    messages.success(request, f"The {what} was removed.")
    return _back(project, app)


@allow(ProjectRole.DEVELOPER)
@require_POST
def access_test(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """List the repository's branches as a deployment would, and say how it went."""
    found = find_app(request, project, app)
    if not found.repository:
        messages.error(request, f"{found.slug} has no repository with an address.")
        return _back(project, app)
    verdict: dict[str, Any]
    try:
        names = _branches(found)
    except EngineError as error:
        verdict = {
            "sentence": error.sentence,
            "hint": error.hint,
            "asks_host": isinstance(error, HostKeyRefused),
        }
    else:
        shown = ", ".join(names[:SHOWN_BRANCHES])
        more = len(names) - SHOWN_BRANCHES
        verdict = {
            "works": True,
            "branches": f"{shown} and {more} more" if more > 0 else shown,
            "has_branch": found.branch in names,
        }
    return source_page(request, found, verdict=verdict)


def _branches(app: App) -> tuple[str, ...]:
    with _Turn():
        return get_engine().git.branches(
            url=app.repository,
            deadline=Deadline(ASK_SECONDS, what="The test"),
            access=git_access(app),
        )


@allow(ProjectRole.DEVELOPER)
@require_POST
def host_key_ask(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Show what the repository's SSH server shows as its keys. Nothing is kept yet."""
    found = find_app(request, project, app)
    if (place := _ssh_place(found)) is None:
        messages.error(request, NOT_SSH)
        return _back(project, app)
    try:
        with _Turn():
            shown = get_engine().git.host_keys(
                host=place.host, port=place.port, deadline=Deadline(ASK_SECONDS, what="Asking")
            )
    except EngineError as error:
        verdict = {"sentence": error.sentence, "hint": error.hint}
        return source_page(request, found, verdict=verdict)
    lines = "\n".join(key.line for key in shown)
    form = HostKeyForm({"lines": lines}, host=place.host, port=place.port)
    return source_page(request, found, shown_keys=shown, host_form=form)


@allow(ProjectRole.DEVELOPER)
@require_POST
def host_key_confirm(request: HttpRequest, project: str, app: str) -> HttpResponse:
    """Trust the server with the keys that were shown: they are sent back, so that nothing else is
    confirmed than what was compared."""
    found = find_app(request, project, app)
    if (place := _ssh_place(found)) is None:
        messages.error(request, NOT_SSH)
        return _back(project, app)
    form = HostKeyForm(request.POST, host=place.host, port=place.port)
    if not form.is_valid():
        messages.error(request, "These are no keys of the repository's server. Ask it again.")
        return _back(project, app)
    user = cast(User, request.user)
    keys = form.cleaned_data["lines"]
    services.known_host_confirm(project=found.project, keys=keys, confirmed_by=user)
    messages.success(request, f"{place.host} is confirmed for the apps of {project}.")
    return _back(project, app)


@allow(ProjectRole.DEVELOPER)
@require_http_methods(["GET", "HEAD", "POST"])
def host_key_remove(request: HttpRequest, project: str, app: str, pk: int) -> HttpResponse:
    found = find_app(request, project, app)
    known = get_object_or_404(KnownHost, pk=pk, project=found.project)
    if request.method != "POST":
        question = Question(
            heading=f"Forget the SSH keys of {known.host}?",
            text=f"No app of {project} is deployed from there until somebody confirms its keys "
            "again.",
            button="Forget keys",
            back=reverse("app_source", args=[project, app]),
            keep="Keep keys",
        )
        return ask_about(request, found, question, last="Forget keys")
    services.known_host_remove(known=known)
    messages.success(request, f"The keys of {known.host} were forgotten.")
    return _back(project, app)


class _Turn:
    """The one asking at a time. Raises `EngineError` when it is somebody else's."""

    def __enter__(self) -> None:
        if not _asking.acquire(blocking=False):
            raise EngineError(
                "Another test is under way.", hint="Try again in a few seconds: it has an end."
            )

    def __exit__(self, *_: object) -> None:
        _asking.release()


def _ssh_place(app: App) -> Place | None:
    """Where the repository is, if it is reached over SSH."""
    place = place_of(app.repository) if app.repository else None
    return place if place is not None and place.scheme == "ssh" else None


def _back(project: str, app: str) -> HttpResponse:
    return redirect(f"{reverse('app_source', args=[project, app])}#access")
