"""Inviting people: one-time links that give an address an account, a role, a project.

The token has 256 random bits, so its digest needs no salt and no slow hash (OWASP, Forgot Password
Cheat Sheet: long, single use, expiring, stored hashed). The link is built from `MIST_URL`, never
from a request's Host header, which whoever asks may choose.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import secrets
from dataclasses import dataclass

from django.db import IntegrityError, transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone

from apps.accounts.mail import send_mail
from apps.accounts.models import InstanceRole, Invitation, User
from apps.accounts.people_services import may_give
from apps.audit.trail import record
from apps.deployments import events
from apps.projects.access import includes
from apps.projects.member_services import member_put
from apps.projects.models import Project, ProjectRole
from apps.projects.selectors import role_in
from apps.system.planning import dashboard_url

DAYS = 7
"""For how long a link works unless it is said otherwise."""


class InvitationProblem(Exception):
    """Why there is no (more) invitation, as a sentence for a person."""


@dataclass(frozen=True)
class Invited:
    """An invitation just made. The link is nowhere else."""

    invitation: Invitation
    link: str

    def __repr__(self) -> str:
        return f"Invited({self.invitation.pk})"


def invitation_create(
    *,
    email: str,
    role: InstanceRole,
    by: User | None,
    project: Project | None = None,
    project_role: ProjectRole | None = None,
    days: int = DAYS,
) -> Invited:
    """Make a link for whoever has the (checked) address. An open one of the same person for the
    same address and project ends with that. Raises `InvitationProblem`."""
    email = email.strip().lower()
    if not _may_invite(by, role, project, project_role):
        raise InvitationProblem("Nobody can give a role that they do not have themselves.")
    token = secrets.token_urlsafe(32)
    with transaction.atomic():
        same = Invitation.objects.filter(email=email, project=project, created_by=by)
        for old in same.filter(accepted_at=None, revoked_at=None):
            invitation_revoke(invitation=old)
        made = Invitation.objects.create(
            email=email,
            role=role,
            project=project,
            project_role=project_role or "",
            token_digest=digest(token),
            created_by=by,
            expires_at=timezone.now() + dt.timedelta(days=days),
        )
        after = {"role": role.value, "expires": made.expires_at.isoformat()}
        if project_role is not None:
            after["project_role"] = project_role.value
        record("invitation.create", made, after=after)
    return Invited(made, f"{dashboard_url()}{reverse('invitation', args=[token])}")


def invitation_mail(invited: Invited) -> bool:
    """Send the link to whom it is for; False when no mail server took it. Not in a transaction."""
    invitation = invited.invitation
    text = render_to_string("mail/invitation.txt", {"invitation": invitation, "link": invited.link})
    return send_mail(to=invitation.email, subject="Your invitation to Mist", text=text)


def invitation_revoke(*, invitation: Invitation) -> bool:
    """Take a link back. False when it was used or taken back already."""
    with transaction.atomic():
        found = Invitation.objects.select_for_update().get(pk=invitation.pk)
        if found.accepted_at is not None or found.revoked_at is not None:
            return False
        found.revoked_at = timezone.now()
        found.save(update_fields=["revoked_at"])
        record("invitation.revoke", found)
    return True


def invitation_find(token: str) -> Invitation | None:
    """The invitation of that token while it can be accepted."""
    rows = Invitation.objects.select_related("created_by", "project")
    found = rows.filter(token_digest=digest(token)).first()
    return found if found is not None and _is_good(found) else None


def invitation_accept(
    *, token: str, user: User | None = None, name: str = "", password: str = ""
) -> User:
    """Give the roles to `user`, or, where that is None, to a new account with the (checked) name
    and password. Once; roles that the person has are never lowered.

    Raises `InvitationProblem` when the link does not work (any more), is for another address, or
    when there is an account with the address and `user` is not it.
    """
    with transaction.atomic():
        rows = Invitation.objects.select_for_update(of=("self",))
        found = rows.select_related("created_by", "project").filter(token_digest=digest(token))
        invitation = found.first()
        if invitation is None or not _is_good(invitation):
            raise InvitationProblem("This invitation does not work any more.")
        if user is None:
            user = _new_user(invitation, name, password)
        else:
            user = _raised(invitation, user)
        if invitation.project is not None:
            member_put(
                project=invitation.project,
                user=user,
                role=ProjectRole(invitation.project_role),
                created_by=invitation.created_by,
            )
        invitation.accepted_at, invitation.accepted_by = timezone.now(), user
        invitation.save(update_fields=["accepted_at", "accepted_by"])
        record("invitation.accept", invitation, after={"role": user.role})
        pk = user.pk
        transaction.on_commit(lambda: events.access_changed(user_id=pk))
    return user


def _new_user(invitation: Invitation, name: str, password: str) -> User:
    if User.objects.filter(email=invitation.email).exists():
        raise InvitationProblem(f"{invitation.email} has an account. Log in with it first.")
    role = InstanceRole(invitation.role)
    try:
        with transaction.atomic():
            user = User.objects.create_user(invitation.email, password, name=name, role=role)
    except IntegrityError as error:
        raise InvitationProblem(f"{invitation.email} has just got an account.") from error
    record("user.create", user, name=user.email, after={"role": user.role})
    return user


def _raised(invitation: Invitation, user: User) -> User:
    user = User.objects.select_for_update().get(pk=user.pk)
    if user.email != invitation.email or not user.is_active:
        raise InvitationProblem(f"This invitation is for {invitation.email}.")
    old, new = InstanceRole(user.role), InstanceRole(invitation.role)
    if not includes(old, new):
        user.role = new
        user.save(update_fields=["role"])
        record("user.update", user, name=user.email,
               before={"role": old.value}, after={"role": new.value})  # fmt: skip
    return user


def _is_good(invitation: Invitation) -> bool:
    """Open, and whoever made it could still make it."""
    role = ProjectRole(invitation.project_role) if invitation.project_role else None
    return invitation.state() == Invitation.State.OPEN and _may_invite(
        invitation.created_by, InstanceRole(invitation.role), invitation.project, role
    )


def _may_invite(
    by: User | None, role: InstanceRole, project: Project | None, project_role: ProjectRole | None
) -> bool:
    """Admins of the instance give any role up to their own; admins of a project give roles there.
    None is the command line."""
    if by is None:
        return True
    if role != InstanceRole.MEMBER or project is None:
        return may_give(by, role)
    held = role_in(by, project.slug)
    return held == ProjectRole.ADMIN and project_role is not None


def digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
