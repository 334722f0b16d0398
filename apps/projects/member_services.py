"""Who belongs to a project, and who is responsible for it."""

from __future__ import annotations

from django.db import transaction

from apps.accounts.models import User
from apps.audit.trail import record
from apps.deployments import events
from apps.projects.access import includes
from apps.projects.models import Membership, Project, ProjectRole


class MemberProblem(Exception):
    """Why a membership stays as it is, as a sentence for a person."""


def member_put(
    *, project: Project, user: User, role: ProjectRole, created_by: User | None
) -> Membership:
    """Take the person into the project. Who is in it already gets the higher of both roles."""
    with transaction.atomic():
        member, is_new = Membership.objects.select_for_update().get_or_create(
            project=project, user=user, defaults={"role": role, "created_by": created_by}
        )
        old = ProjectRole(member.role)
        if is_new:
            record("member.add", member, name=user.email, after={"role": role.value})
        elif not includes(old, role):
            member.role = role
            member.save(update_fields=["role"])
            _record_role(member, old, role)
        _announce(user)
    return member


def member_change(*, member: Membership, role: ProjectRole) -> None:
    """Give a member another role. Raises `MemberProblem` for the owner of the project."""
    with transaction.atomic():
        _lock(member.project)
        _spare_owner(member, "stays an admin")
        found = Membership.objects.select_for_update().get(pk=member.pk)
        old = ProjectRole(found.role)
        if old == role:
            return
        found.role = role
        found.save(update_fields=["role"])
        _record_role(found, old, role)
        _announce(found.user)


def member_remove(*, member: Membership, action: str = "member.remove") -> None:
    """End a membership; open pages of the project close. Raises `MemberProblem` for the owner of
    the project."""
    with transaction.atomic():
        _lock(member.project)
        _spare_owner(member, "cannot leave it")
        record(action, member, name=member.user.email, before={"role": member.role})
        member.delete()
        _announce(member.user)


def project_transfer(*, project: Project, to: User) -> None:
    """Make somebody else responsible. Raises `MemberProblem` when they are no admin there."""
    with transaction.atomic():
        found = _lock(project)
        if not to.is_active or not _manages(found, to):
            raise MemberProblem(f"{to} is no admin of {found}. Give them that role first.")
        _own(found, to)
    project.owner = to


def projects_hand_over(*, owner: User, to: User) -> None:
    """Everything the one owns is the other's, who is taken in as an admin where they are none."""
    with transaction.atomic():
        for project in Project.objects.select_for_update().filter(owner=owner):
            if not to.is_admin:
                member_put(project=project, user=to, role=ProjectRole.ADMIN, created_by=None)
            _own(project, to)


def owned_projects_keep(*, owner: User) -> None:
    """Who is no admin of the instance any more stays an admin of the projects they own."""
    with transaction.atomic():
        for project in Project.objects.filter(owner=owner):
            member_put(project=project, user=owner, role=ProjectRole.ADMIN, created_by=None)


def _own(project: Project, to: User) -> None:
    before = project.owner
    project.owner = to
    project.save(update_fields=["owner"])
    record(
        "project.transfer",
        project,
        before={"owner": before.email if before else None},
        after={"owner": to.email},
    )
    for user in (before, to):
        if user is not None:
            _announce(user)


def _lock(project: Project) -> Project:
    return (
        Project.objects.select_for_update(of=("self",)).select_related("owner").get(pk=project.pk)
    )


def _manages(project: Project, user: User) -> bool:
    admins = Membership.objects.filter(project=project, user=user, role=ProjectRole.ADMIN)
    return user.is_admin or admins.exists()


def _spare_owner(member: Membership, what: str) -> None:
    owner = Project.objects.values_list("owner_id", flat=True).get(pk=member.project_id)
    if owner == member.user_id:
        raise MemberProblem(
            f"{member.user} owns {member.project} and {what}. Transfer the project first."
        )


def _record_role(member: Membership, old: ProjectRole, new: ProjectRole) -> None:
    record(
        "member.change",
        member,
        name=member.user.email,
        before={"role": old.value},
        after={"role": new.value},
    )


def _announce(user: User) -> None:
    """Open pages ask again what the person may see."""
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))
