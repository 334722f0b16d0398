"""Changing what other people may do with this Mist, and ending their accounts.

Rules that no page and no command gets past: there is always an active owner; only owners change
owners or make them; nobody gives more than they have. All are asked inside the transaction, with
the rows locked that they are about, so two requests at once cannot get past them either.
"""

from __future__ import annotations

from django.db import models, transaction
from django.utils import timezone

from apps.accounts.models import InstanceRole, User
from apps.accounts.sessions import sessions_end
from apps.audit.trail import record
from apps.deployments import events
from apps.projects.access import includes
from apps.projects.member_services import owned_projects_keep, projects_hand_over

DELETED = "deleted.invalid"
"""Where nobody gets mail: a name kept for that (RFC 2606, section 2)."""
KEPT = ("admin.logentry",)
"""What Django would delete with a person, and what is no account of theirs."""


class PersonProblem(Exception):
    """Why a person's account stays as it is, as a sentence for a person."""


def may_manage(by: User | None, person: User) -> bool:
    """Whether `by` (None: the command line) may change the person's name, role and account."""
    if by is None:
        return True
    return by.is_owner or (by.is_admin and person.role != InstanceRole.OWNER)


def may_give(by: User | None, role: InstanceRole) -> bool:
    """Whether `by` (None: the command line) may make somebody that: nothing above themself."""
    return by is None or (by.is_admin and includes(InstanceRole(by.role), role))


def person_update(*, person: User, name: str, role: InstanceRole, by: User | None) -> User:
    """Change how others see a person and what they may do. Raises `PersonProblem`."""
    with transaction.atomic():
        found, actor = _lock(person, by)
        old = InstanceRole(found.role)
        if role != old:
            if not may_give(actor, role):
                raise PersonProblem(f"Only an owner can make somebody {role.label.lower()}.")
            if old == InstanceRole.OWNER:
                _keep_an_owner(found, "stays an owner")
        before = {"name": found.name, "role": old.value}
        found.name, found.role = name, role
        found.save(update_fields=["name", "role"])
        if before != {"name": name, "role": role.value}:
            record("user.update", found, name=found.email, before=before,
                   after={"name": name, "role": role.value})  # fmt: skip
        if not found.is_admin:
            owned_projects_keep(owner=found)
        _announce(found)
    return found


def person_deactivate(*, person: User, by: User | None) -> None:
    """Lock a person out until somebody lets them in again: every session of theirs ends, and so
    does every open page. Raises `PersonProblem`."""
    with transaction.atomic():
        found, _ = _lock(person, by)
        _not_oneself(found, by, "deactivate")
        _keep_an_owner(found, "stays active")
        found.is_active = False
        found.save(update_fields=["is_active"])
        record("user.deactivate", found, name=found.email)
        sessions_end(user=found)


def person_activate(*, person: User, by: User | None) -> None:
    """Let a person in again. Raises `PersonProblem`."""
    with transaction.atomic():
        found, _ = _lock(person, by)
        found.is_active = True
        found.save(update_fields=["is_active"])
        record("user.activate", found, name=found.email)


def person_delete(*, person: User, heir: User, by: User | None) -> None:
    """End an account for good. What the person owns is the heir's; their memberships, sessions and
    open invitations go, and the address is free again. The name stays beside what they did.
    Raises `PersonProblem`."""
    with transaction.atomic():
        found, _ = _lock(person, by, heir)
        _not_oneself(found, by, "delete")
        _keep_an_owner(found, "cannot be deleted")
        new = User.objects.get(pk=heir.pk)
        if not new.is_active or new.pk == found.pk:
            raise PersonProblem("Name somebody else who is active to take over.")
        projects_hand_over(owner=found, to=new)
        record("user.delete", found, name=found.email, after={"heir": new.email})
        sessions_end(user=found)
        _delete_what_hangs_on(found)
        found.email = f"{found.pk}@{DELETED}"
        found.role, found.is_active, found.deleted_at = InstanceRole.MEMBER, False, timezone.now()
        found.set_unusable_password()
        found.save()


def _lock(person: User, by: User | None, *others: User) -> tuple[User, User | None]:
    """Both as they are now, locked with every owner. Raises `PersonProblem` when the one may not
    change the other (any more)."""
    wanted = [user.pk for user in (person, by, *others) if user is not None]
    rows = User.objects.select_for_update().filter(
        models.Q(pk__in=wanted) | models.Q(role=InstanceRole.OWNER)
    )
    # In one order for all, so that no two wait for each other.
    locked = {user.pk: user for user in rows.order_by("pk")}
    found, actor = locked[person.pk], None if by is None else locked[by.pk]
    if found.deleted_at is not None:
        raise PersonProblem(f"{found} has been deleted.")
    if not may_manage(actor, found):
        raise PersonProblem(f"Only an owner can change {found}, who is an owner.")
    return found, actor


def _keep_an_owner(person: User, what: str) -> None:
    others = User.objects.filter(role=InstanceRole.OWNER, is_active=True).exclude(pk=person.pk)
    if person.is_owner and not others.exists():
        raise PersonProblem(f"{person} is the last owner and {what}. Make another owner first.")


def _not_oneself(person: User, by: User | None, what: str) -> None:
    if by is not None and by.pk == person.pk:
        raise PersonProblem(f"Nobody can {what} their own account. Ask another admin.")


def _delete_what_hangs_on(user: User) -> None:
    """Whatever would go with the row if that went: memberships, invitations, keys of any kind."""
    for relation in User._meta.related_objects:
        if (
            relation.on_delete is models.CASCADE
            and relation.related_model._meta.label_lower not in KEPT
        ):
            manager = relation.related_model._base_manager
            manager.filter(**{relation.field.name: user}).delete()


def _announce(user: User) -> None:
    transaction.on_commit(lambda: events.access_changed(user_id=user.pk))
