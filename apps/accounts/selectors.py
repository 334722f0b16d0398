"""Reading people and invitations."""

from __future__ import annotations

from django.db.models import Count, Q, QuerySet

from apps.accounts.models import InstanceRole, Invitation, User


def anyone_exists() -> bool:
    """Whether Mist has been set up: false until the first administrator is made."""
    return User.objects.exists()


def people_visible_to(user: User, query: str = "") -> QuerySet[User]:
    """Everybody with an account, for admins of the instance, with `project_count`; only those
    whose name or address has each word of `query`."""
    people = User.objects.filter(deleted_at=None).annotate(project_count=Count("memberships"))
    for word in query.split():
        people = people.filter(Q(name__icontains=word) | Q(email__icontains=word))
    return people.order_by("name", "email") if user.is_admin else people.none()


def person_by_email(email: str, *, active: bool | None = True) -> User | None:
    """Who has the address and an account that works; None as `active` for any account. For commands
    and admins of the instance."""
    people = User.objects.filter(email=email.strip().lower(), deleted_at=None)
    return (people if active is None else people.filter(is_active=active)).first()


def invitations_visible_to(user: User) -> QuerySet[Invitation]:
    """All of them for admins of the instance, for others those to projects that they manage. The
    newest first."""
    invitations = Invitation.objects.select_related("project", "created_by").order_by("-id")
    if user.is_admin:
        return invitations
    managed = Q(project__memberships__user=user, project__memberships__role="admin")
    return invitations.filter(managed) if user.is_active else invitations.none()


def owners() -> QuerySet[User]:
    """Those who may do everything, and can log in."""
    return User.objects.filter(role=InstanceRole.OWNER, is_active=True).order_by("id")


def people() -> QuerySet[User, tuple[int, str]]:
    """(id, name) of everybody with an account, by name."""
    return User.objects.filter(deleted_at=None).order_by("name", "id").values_list("id", "name")
