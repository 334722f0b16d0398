"""Who belongs to a project: its page, inviting, roles, leaving, and handing it on."""

from __future__ import annotations

from typing import Any, cast

from django import forms
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from apps.accounts.invitation_services import invitation_create, invitation_mail
from apps.accounts.invitation_views import revoke
from apps.accounts.models import InstanceRole, Invitation, User
from apps.accounts.selectors import invitations_visible_to, person_by_email
from apps.projects.access import access, allow
from apps.projects.confirmation import Question, ask
from apps.projects.member_forms import MemberForm, TransferForm
from apps.projects.member_services import (
    MemberProblem,
    member_change,
    member_put,
    member_remove,
    project_transfer,
)
from apps.projects.models import Membership, Project, ProjectRole
from apps.projects.selectors import members_of, projects_visible_to

MEMBERS = 100
"""Rows on one page."""


def _project(request: HttpRequest, slug: str) -> Project:
    visible = projects_visible_to(cast(User, request.user)).select_related("owner")
    return get_object_or_404(visible, slug=slug)


def _frame(project: Project, last: str = "") -> dict[str, Any]:
    here = reverse("members", args=[project.slug])
    crumbs: list[tuple[str, str | None]] = [
        ("Projects", reverse("dashboard")),
        (project.slug, reverse("project", args=[project.slug])),
        ("Members", here if last else None),
    ]
    if last:
        crumbs.append((last, None))
    return {
        "title": f"Members · {project}",
        "crumbs": crumbs,
        "nav": "projects",
        "project": project,
        "tab": "Members",
    }


def _page(request: HttpRequest, project: Project, **more: Any) -> HttpResponse:
    user = cast(User, request.user)
    page = Paginator(members_of(project), MEMBERS).get_page(request.GET.get("page"))
    invited: list[Invitation] = []
    if access(request).manages:
        found = invitations_visible_to(user).filter(
            project=project, accepted_at=None, revoked_at=None
        )
        invited = [one for one in found if one.state() == Invitation.State.OPEN]
    context: dict[str, Any] = {
        **_frame(project),
        "page": page,
        "roles": ProjectRole.choices,
        "invitations": invited,
        "form": MemberForm(),
        "is_member": Membership.objects.filter(project=project, user=user).exists(),
        "may_transfer": _may_transfer(user, project),
        "transfer": TransferForm(),
    }
    return render(request, "members.html", context | more)


@allow(ProjectRole.VIEWER, write=ProjectRole.ADMIN, sudo="write")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def members(request: HttpRequest, project: str) -> HttpResponse:
    """A POST takes somebody in. An admin of the instance, who sees all users anyway, adds one at
    once. An admin of the project invites, and the answer is the same whether or not the address
    has an account."""
    found, by = _project(request, project), cast(User, request.user)
    if request.method != "POST":
        return _page(request, found)
    form = MemberForm(request.POST)
    if not form.is_valid():
        return _page(request, found, form=form)
    email, role = form.cleaned_data["email"], form.cleaned_data["role"]
    if members_of(found).filter(user__email=email).exists():
        form.add_error("email", f"{email} is a member already.")
        return _page(request, found, form=form)
    if by.is_admin and (person := person_by_email(email, active=None)) is not None:
        if not person.is_active:
            form.add_error("email", f"{person} is deactivated. Activate the account first.")
            return _page(request, found, form=form)
        member_put(project=found, user=person, role=role, created_by=by)
        messages.success(request, f"{person} is a member of {found} now.")
        return redirect("members", project)
    invited = invitation_create(
        email=email, role=InstanceRole.MEMBER, by=by, project=found, project_role=role
    )
    return _page(request, found, invited=invited, is_mailed=invitation_mail(invited))


def _member(request: HttpRequest, project: Project, pk: int) -> Membership:
    return get_object_or_404(members_of(project), pk=pk)


@allow(ProjectRole.ADMIN, sudo="write")
@require_POST
def member_role(request: HttpRequest, project: str, member: int) -> HttpResponse:
    found = _project(request, project)
    person = _member(request, found, member)
    try:
        role = ProjectRole(request.POST.get("role", ""))
        member_change(member=person, role=role)
    except MemberProblem as problem:
        messages.error(request, str(problem))
    except ValueError:
        messages.error(request, "Choose one of the roles.")
    else:
        messages.success(request, f"{person.user} is {role.label.lower()} now.")
    return _back(request, found)


@allow(ProjectRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def member_take_out(request: HttpRequest, project: str, member: int) -> HttpResponse:
    found = _project(request, project)
    person = _member(request, found, member)
    if request.method != "POST":
        question = Question(
            heading=f"Remove {person.user} from {found}?",
            text=f"Nothing in {found} exists for {person.user.first_name} any more, and open pages "
            "of it close. What runs, runs on.",
            button="Remove member",
            back=reverse("members", args=[project]),
            keep="Keep member",
        )
        return ask(request, question, _frame(found, "Remove member"))
    try:
        member_remove(member=person)
    except MemberProblem as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"{person.user} was removed from {found}.")
    return _back(request, found)


@allow(ProjectRole.VIEWER)
@require_http_methods(["GET", "HEAD", "POST"])
def project_leave(request: HttpRequest, project: str) -> HttpResponse:
    found = _project(request, project)
    mine = members_of(found).filter(user=cast(User, request.user)).first()
    if mine is None:
        messages.error(request, f"You see {found} as an admin of this Mist, not as a member.")
        return redirect("members", project)
    if request.method != "POST":
        question = Question(
            heading=f"Leave {found}?",
            text=f"You do not see {found} any more until one of its admins takes you in again.",
            button=f"Leave {found}",
            back=reverse("members", args=[project]),
            keep="Stay",
        )
        return ask(request, question, _frame(found, "Leave"))
    try:
        member_remove(member=mine, action="member.leave")
    except MemberProblem as problem:
        messages.error(request, str(problem))
        return redirect("members", project)
    messages.success(request, f"You left {found}.")
    return redirect("dashboard")


@allow(ProjectRole.ADMIN, sudo="write")
@require_POST
def project_hand_on(request: HttpRequest, project: str) -> HttpResponse:
    """Make another admin of the project its owner: by the owner, or by an admin of the instance."""
    found = _project(request, project)
    if not _may_transfer(cast(User, request.user), found):
        messages.error(request, f"Only {found.owner or 'an admin of this Mist'} can do this.")
        return redirect("members", project)
    form = TransferForm(request.POST)
    if form.is_valid():
        _hand_on(found, form)
    if form.errors:
        return _page(request, found, transfer=form)
    messages.success(request, f"{found.owner} owns {found} now.")
    return redirect("members", project)


def _hand_on(project: Project, form: forms.Form) -> None:
    """Whoever the address belongs to, among those who manage the project: of others nothing is
    said."""
    email = form.cleaned_data["email"]
    person = person_by_email(email)
    is_known = person is not None and (
        person.is_admin or members_of(project).filter(user=person).exists()
    )
    try:
        if person is None or not is_known:
            raise MemberProblem(f"{email} is no admin of {project}.")
        project_transfer(project=project, to=person)
    except MemberProblem as problem:
        form.add_error("email", str(problem))


@allow(ProjectRole.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def member_invitation_take_back(
    request: HttpRequest, project: str, invitation: int
) -> HttpResponse:
    found = _project(request, project)
    visible = invitations_visible_to(cast(User, request.user)).filter(project=found)
    one = get_object_or_404(visible, pk=invitation)
    back = reverse("members", args=[project])
    return revoke(request, one, back=back, frame=_frame(found, "Take back"))


def _may_transfer(user: User, project: Project) -> bool:
    return user.is_admin or project.owner_id == user.pk


def _back(request: HttpRequest, project: Project) -> HttpResponse:
    """To the members' page, where the person may still see it."""
    if projects_visible_to(cast(User, request.user)).filter(pk=project.pk).exists():
        return redirect("members", project.slug)
    return redirect("dashboard")
