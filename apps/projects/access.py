"""What an address needs of who asks: declared beside its view, enforced before the view runs,
and walked address by address by a test. A view that declares nothing is closed to everybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from apps.accounts.models import InstanceRole, User
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

    def of(self, method: str | None) -> Need:
        return self.read if method in SAFE else self.write


def allow(need: Need, *, write: Need | None = None) -> Callable[[View], View]:
    """Say who may use a view: `need` for all methods, or only for reading when `write` is given."""
    needs = Needs(need, need if write is None else write)

    def mark(view: View) -> View:
        marked: Any = view
        marked.needs = needs
        return cast(View, marked)

    return mark


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
