"""Everybody who has an account, for admins of the instance."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from apps.accounts.models import InstanceRole, User
from apps.accounts.people_forms import HandOverForm, PersonForm
from apps.accounts.people_services import (
    PersonProblem,
    may_manage,
    person_activate,
    person_deactivate,
    person_delete,
    person_update,
)
from apps.accounts.selectors import people_visible_to
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.projects.selectors import memberships_of, owned_by

PEOPLE = 50
"""Rows on one page."""


@allow(InstanceRole.ADMIN)
@require_safe
def users(request: HttpRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()[:200]
    people = people_visible_to(cast(User, request.user), query)
    context = {
        "title": "Users",
        "crumbs": [("Users", None)],
        "nav": "users",
        "tab": "Users",
        "query": query,
        "page": Paginator(people, PEOPLE).get_page(request.GET.get("page")),
    }
    return render(request, "users.html", context)


def _frame(person: User, last: str = "") -> dict[str, Any]:
    crumbs: list[tuple[str, str | None]] = [("Users", reverse("users"))]
    if last:
        crumbs += [(str(person), reverse("user", args=[person.pk])), (last, None)]
    else:
        crumbs.append((str(person), None))
    return {"title": str(person), "crumbs": crumbs, "nav": "users", "person": person}


def _person(request: HttpRequest, pk: int, *, to_change: bool = False) -> User:
    """The person of that address; 403 where an admin would change an owner."""
    by = cast(User, request.user)
    found = get_object_or_404(people_visible_to(by), pk=pk)
    if to_change and not may_manage(by, found):
        raise PermissionDenied("Only an owner can change an owner.")
    return found


def _page(request: HttpRequest, person: User, form: PersonForm) -> HttpResponse:
    by = cast(User, request.user)
    context = {
        **_frame(person),
        "form": form,
        "may_manage": may_manage(by, person),
        "is_oneself": person == by,
        "memberships": memberships_of(person),
        "owned": owned_by(person),
    }
    return render(request, "user.html", context)


@allow(InstanceRole.ADMIN, sudo="write")
@require_http_methods(["GET", "HEAD", "POST"])
def user(request: HttpRequest, user: int) -> HttpResponse:
    writes, by = request.method == "POST", cast(User, request.user)
    person = _person(request, user, to_change=writes)
    form = PersonForm(request.POST if writes else None, person=person, by=by)
    if not form.is_valid():
        return _page(request, person, form)
    try:
        person_update(person=person, by=by, **form.cleaned_data)
    except PersonProblem as problem:
        form.add_error("role", str(problem))
        return _page(request, person, form)
    messages.success(request, "Saved.")
    # Whoever gave their own role away may see this page no more.
    may_return = person != by or form.cleaned_data["role"] != InstanceRole.MEMBER
    return redirect("user", user) if may_return else redirect("dashboard")


@allow(InstanceRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def user_deactivate(request: HttpRequest, user: int) -> HttpResponse:
    person = _person(request, user, to_change=True)
    if request.method != "POST":
        question = Question(
            heading=f"Deactivate {person}?",
            text=f"{person.first_name} is logged out everywhere at once and cannot log in until "
            "somebody activates the account again. What runs, runs on.",
            button="Deactivate",
            back=reverse("user", args=[person.pk]),
            keep="Keep active",
        )
        return ask(request, question, _frame(person, "Deactivate"))
    try:
        person_deactivate(person=person, by=cast(User, request.user))
    except PersonProblem as problem:
        messages.error(request, str(problem))
    else:
        messages.success(request, f"{person} is logged out and cannot log in.")
    return redirect("user", user)


@allow(InstanceRole.ADMIN, sudo="write")
@require_POST
def user_activate(request: HttpRequest, user: int) -> HttpResponse:
    person = _person(request, user, to_change=True)
    person_activate(person=person, by=cast(User, request.user))
    messages.success(request, f"{person} can log in again.")
    return redirect("user", user)


@allow(InstanceRole.ADMIN, sudo=True)
@require_http_methods(["GET", "HEAD", "POST"])
def user_delete(request: HttpRequest, user: int) -> HttpResponse:
    person, by = _person(request, user, to_change=True), cast(User, request.user)
    form = HandOverForm(request.POST if request.method == "POST" else None, person=person, by=by)
    if form.is_valid():
        try:
            person_delete(person=person, heir=form.cleaned_data["heir"], by=by)
        except PersonProblem as problem:
            form.add_error(None, str(problem))
        else:
            messages.success(request, f"{person} was deleted.")
            return redirect("users")
    context = {**_frame(person, "Delete"), "form": form, "owned": owned_by(person)}
    return render(request, "user_delete.html", context)
