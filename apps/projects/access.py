"""What an address needs of who asks: declared beside its view, enforced before the view runs,
and walked address by address by a test. A view that declares nothing is closed to everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import InstanceRole, User
from apps.api.models import Scope
from apps.projects.models import ProjectRole
from apps.projects.selectors import role_in, roles_of

View = TypeVar("View", bound=Callable[..., Any])
SAFE = ("GET", "HEAD", "OPTIONS")


class Everybody:
    """Also who has not logged in."""

    def __repr__(self) -> str:
        return "EVERYBODY"


EVERYBODY = Everybody()
Need = InstanceRole | ProjectRole | Everybody
"""The least role. One of a project is meant of the project that the address names."""


@dataclass(frozen=True)
class Needs:
    read: Need
    """For GET and HEAD."""
    write: Need
    """For every other method."""
    sudo: bool | Literal["write"] = False
    """Whether the person must have proved within the last 15 minutes who they are: always, or for
    every method but GET and HEAD."""

    def asks_again(self, method: str | None) -> bool:
        return self.sudo is True or (self.sudo == "write" and method not in SAFE)

    def of(self, method: str | None) -> Need:
        return self.read if method in SAFE else self.write


def allow(
    need: Need, *, write: Need | None = None, sudo: bool | Literal["write"] = False
) -> Callable[[View], View]:
    """Say who may use a view: `need` for all methods, or only for reading when `write` is given.

    `sudo`: only with a password or a second factor given within the last 15 minutes. An address
    that asks before it does something (a GET with the question) wants `True`, so that the question
    comes after; one that only takes a form, or shows a page besides, wants `"write"`.
    """
    needs = Needs(need, need if write is None else write, sudo)

    def mark(view: View) -> View:
        marked: Any = view
        marked.needs = needs
        return cast(View, marked)

    return mark


@dataclass(frozen=True)
class ApiNeed:
    """What one method of an address of the API needs."""

    role: Need
    """Of the token's person, at the time of use."""
    scope: Scope | None
    """Of the token; None for what needs no token."""


def api(**methods: tuple[Scope, InstanceRole | ProjectRole] | Everybody) -> Callable[[View], View]:
    """Say, method by method, who may use a view of the API: `get=(Scope.READ, ProjectRole.VIEWER)`.
    A method that is not named does not exist there. Such a view has nothing for people who log in
    (`allow`), and no cookie counts there, so no other site can make a browser act: it needs no
    CSRF token."""
    needs = {
        name.upper(): ApiNeed(need, None)
        if isinstance(need, Everybody)
        else ApiNeed(need[1], need[0])
        for name, need in methods.items()
    }

    def mark(view: View) -> View:
        marked: Any = view
        marked.api_needs = needs
        marked.csrf_exempt = True
        return cast(View, marked)

    return mark


def api_needs_of(view: Callable[..., Any]) -> Mapping[str, ApiNeed] | None:
    """None for what is no view of the API."""
    found: Mapping[str, ApiNeed] | None = getattr(view, "api_needs", None)
    return found


@dataclass(frozen=True)
class Access:
    """What a person may do where a page is; a template reads it as `access`."""

    instance: InstanceRole | None
    """None for who has not logged in."""
    project: ProjectRole | None = None
    """In the project of the page's address; None also when there is none."""
    roles: Mapping[int, ProjectRole] = field(default_factory=dict, compare=False, repr=False)
    """A member's projects (ids) and roles there, read only when a page of no project asks."""

    @property
    def is_owner(self) -> bool:
        return self.instance == InstanceRole.OWNER

    @property
    def is_admin(self) -> bool:
        """Of the instance."""
        return self.allows(InstanceRole.ADMIN)

    @property
    def develops(self) -> bool:
        """Apps, variables, deployments and logs of the project."""
        return self.allows(ProjectRole.DEVELOPER)

    @property
    def manages(self) -> bool:
        """Members and deleting in the project."""
        return self.allows(ProjectRole.ADMIN)

    def within(self, project_id: int) -> Access:
        """What they may do in that project, on a page that is of none."""
        if self.project is not None:
            return self
        role = ProjectRole.ADMIN if self.is_admin else self.roles.get(project_id)
        return Access(self.instance, role)

    def allows(self, need: Need) -> bool:
        if isinstance(need, Everybody):
            return True
        if isinstance(need, InstanceRole):
            return self.instance is not None and includes(self.instance, need)
        return self.project is not None and includes(self.project, need)


def includes(role: InstanceRole | ProjectRole, need: InstanceRole | ProjectRole) -> bool:
    """Whether the role may do what the other (of the same kind) may."""
    order = list(type(role))
    return type(role) is type(need) and order.index(role) >= order.index(need)


def refusal(need: Need) -> str:
    """What who lacks the role is told."""
    if isinstance(need, ProjectRole):
        return f"This needs the role {need.label.lower()} in this project. An admin can give it."
    if need == InstanceRole.OWNER:
        return "This is for owners of this Mist."
    return "This is for admins of this Mist."


NOBODY = Access(None)


def access_of(user: User, project: str | None = None) -> Access:
    """What the person may do, and in the project of that name. At most one query."""
    role = role_in(user, project) if project is not None else None
    return Access(
        InstanceRole(user.role), role, cast(Any, SimpleLazyObject(lambda: roles_of(user)))
    )


def access(request: HttpRequest) -> Access:
    """What the middleware found out for this request."""
    found: Access = getattr(request, "access", NOBODY)
    return found
