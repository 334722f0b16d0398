"""Inviting people to this Mist, and accepting such an invitation."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any, cast

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.invitation_services import (
    InvitationProblem,
    invitation_accept,
    invitation_create,
    invitation_find,
    invitation_mail,
    invitation_revoke,
)
from apps.accounts.limits import address_of, give_back, take
from apps.accounts.login_views import too_often
from apps.accounts.models import InstanceRole, Invitation, User
from apps.accounts.people_forms import InvitationForm, JoinForm
from apps.accounts.selectors import invitations_visible_to
from apps.accounts.sessions import sign_in
from apps.projects.access import EVERYBODY, allow
from apps.projects.confirmation import Question, ask
from apps.projects.models import ProjectRole
from apps.projects.selectors import projects_visible_to

INVITATIONS = 50
"""Rows on one page."""


@allow(InstanceRole.ADMIN, sudo="write")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def invitations(request: HttpRequest) -> HttpResponse:
    by = cast(User, request.user)
    projects = projects_visible_to(by)
    form = InvitationForm(
        request.POST if request.method == "POST" else None, by=by, projects=projects
    )
    context: dict[str, Any] = {
        "title": "Invitations",
        "crumbs": [("Users", reverse("users")), ("Invitations", None)],
        "nav": "users",
        "tab": "Invitations",
    }
    if form.is_valid():
        invited = invitation_create(by=by, **form.cleaned_data)
        context["invited"] = invited
        context["is_mailed"] = invitation_mail(invited)
        form = InvitationForm(by=by, projects=projects)
    rows = Paginator(invitations_visible_to(by), INVITATIONS)
    context |= {"form": form, "page": rows.get_page(request.GET.get("page"))}
    return render(request, "invitations.html", context)


@allow(InstanceRole.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def invitation_take_back(request: HttpRequest, invitation: int) -> HttpResponse:
    found = get_object_or_404(invitations_visible_to(cast(User, request.user)), pk=invitation)
    frame = {"crumbs": [("Users", reverse("users")), ("Invitations", None)], "nav": "users"}
    return revoke(request, found, back=reverse("invitations"), frame=frame)


def revoke(
    request: HttpRequest, invitation: Invitation, *, back: str, frame: dict[str, Any]
) -> HttpResponse:
    """Ask, then take the link back."""
    if request.method != "POST":
        question = Question(
            heading=f"Take back the invitation of {invitation.email}?",
            text="The link does not work any more after that. You can invite the address again.",
            button="Take back",
            back=back,
            keep="Keep invitation",
        )
        return ask(request, question, frame)
    if invitation_revoke(invitation=invitation):
        messages.success(request, f"The invitation of {invitation.email} was taken back.")
    else:
        messages.error(request, "This invitation was used or taken back already.")
    return redirect(back)


# ----------------------------------------------------------------------------------- accepting one


@allow(EVERYBODY)
@never_cache
@require_safe
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    """What the link opens. It changes nothing: programs that read mail open links, too."""
    found, wait = _find(request, token)
    if found is None:
        return _gone(request, wait)
    return _join_page(request, token, found, JoinForm(email=found.email))


@allow(EVERYBODY)
@sensitive_post_parameters("token", "password")
@never_cache
@require_POST
def invitation_join(request: HttpRequest) -> HttpResponse:
    """The token comes in the form: addresses of requests that go wrong stand in logs."""
    token = request.POST.get("token", "")
    found, wait = _find(request, token)
    if found is None:
        return _gone(request, wait)
    try:
        if request.user.is_authenticated:
            invitation_accept(token=token, user=request.user)
        else:
            form = JoinForm(request.POST, email=found.email)
            if _has_account(found) or not form.is_valid():
                return _join_page(request, token, found, form)
            user = invitation_accept(token=token, **form.cleaned_data)
            sign_in(request, user, way="invitation", strong=False)
    except InvitationProblem as problem:
        form = JoinForm(email=found.email)
        return _join_page(request, token, found, form, problem=str(problem))
    if found.project is not None:
        return redirect("project", found.project.slug)
    return redirect("dashboard")


def _join_page(
    request: HttpRequest, token: str, found: Invitation, form: JoinForm, problem: str = ""
) -> HttpResponse:
    user = request.user
    context = {
        "title": "Invitation",
        "invitation": found,
        "project_role": ProjectRole(found.project_role) if found.project_role else None,
        "token": token,
        "form": form,
        "problem": problem,
        "is_right": user.is_authenticated and user.email == found.email,
        "has_account": _has_account(found),
    }
    return render(request, "invitation.html", context)


def _has_account(invitation: Invitation) -> bool:
    return User.objects.filter(email=invitation.email).exists()


def _find(request: HttpRequest, token: str) -> tuple[Invitation | None, int]:
    """The invitation with that token; or none, and the seconds to wait for whoever asked for too
    many that do not exist."""
    tries = address_of(request)
    if wait := take(tries):
        return None, wait
    found = invitation_find(token)
    if found is not None:
        give_back(tries)
    return found, 0


def _gone(request: HttpRequest, wait: int) -> HttpResponse:
    context = {"title": "Invitation", "wait": wait}
    page = render(request, "invitation_gone.html", context, status=HTTPStatus.NOT_FOUND)
    return too_often(page, wait)
