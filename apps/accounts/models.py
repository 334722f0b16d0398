"""People who use Mist."""

from __future__ import annotations

import datetime as dt
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.db import models
from django.utils import timezone


class InstanceRole(models.TextChoices):
    """What a person may do with this Mist itself, the least first."""

    MEMBER = "member", "Member"
    """Only what projects give."""
    ADMIN = "admin", "Admin"
    """Users, every project, and the instance's pages; not its secrets, nor its owners."""
    OWNER = "owner", "Owner"
    """Everything."""


class UserManager(BaseUserManager["User"]):
    """Makes users; addresses are kept in lower case, so one person has one account."""

    def create_user(self, email: str, password: str | None = None, **fields: Any) -> User:
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> User:
        """An owner; Django's own word for it."""
        return self.create_user(email, password, role=InstanceRole.OWNER, **fields)

    def get_by_natural_key(self, username: str | None) -> User:
        return self.get(email=(username or "").strip().lower())


class User(AbstractBaseUser):
    """A person, and what they may do with the whole instance. What they may do with a project says
    `apps.projects.models.Membership`."""

    email = models.EmailField(unique=True)
    name = models.CharField(max_length=100)
    is_active = models.BooleanField(default=True)
    role = models.CharField(
        max_length=10, choices=InstanceRole.choices, default=InstanceRole.MEMBER
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    shortcuts = models.BooleanField("single-key shortcuts", default=True)
    deleted_at = models.DateTimeField(null=True, blank=True, editable=False)
    """The row stays, so that what the person did keeps its name; nothing else of them does."""

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = ["name"]

    def __str__(self) -> str:
        return self.name or self.email

    @property
    def is_owner(self) -> bool:
        return self.is_active and self.role == InstanceRole.OWNER

    @property
    def is_admin(self) -> bool:
        """Whether every project and the instance's pages are theirs: an admin or an owner."""
        return self.is_active and self.role in (InstanceRole.ADMIN, InstanceRole.OWNER)

    # What the Django admin asks. It shows and changes everything, so it is for owners.

    @property
    def is_staff(self) -> bool:
        return self.is_owner

    @property
    def is_superuser(self) -> bool:
        return self.is_owner

    def has_perm(self, perm: str, obj: object = None) -> bool:
        return self.is_owner

    def has_module_perms(self, app_label: str) -> bool:
        return self.is_owner

    @property
    def first_name(self) -> str:
        """What lists show."""
        return self.name.split()[0] if self.name.split() else self.email.partition("@")[0]

    @property
    def initials(self) -> str:
        """One or two capitals for the avatar."""
        parts = self.name.split() or [self.email]
        return (parts[0][:1] + (parts[-1][:1] if len(parts) > 1 else "")).upper()


class Invitation(models.Model):
    """A one-time link that gives whoever has the address `email` an account and roles.

    Its token is shown or mailed once and kept as a digest only. It ends with its use, with time,
    when somebody takes it back, and when who made it may not give these roles any more.
    """

    class State(models.TextChoices):
        OPEN = "open", "Open"
        ACCEPTED = "accepted", "Accepted"
        REVOKED = "revoked", "Taken back"
        EXPIRED = "expired", "Expired"

    email = models.EmailField()
    role = models.CharField(
        max_length=10, choices=InstanceRole.choices, default=InstanceRole.MEMBER
    )
    project = models.ForeignKey(
        "projects.Project", null=True, blank=True, on_delete=models.CASCADE, related_name="+"
    )
    project_role = models.CharField(max_length=10, blank=True, default="")
    """A value of `apps.projects.models.ProjectRole`; empty without a project."""
    token_digest = models.CharField(max_length=64, unique=True, editable=False)
    """SHA-256 of the token, in hexadecimal digits."""
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    created_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.CASCADE, related_name="invitations"
    )
    """None for the command line, which may give every role: never because somebody is gone."""
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True, editable=False)
    accepted_by = models.ForeignKey(
        User, null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )
    revoked_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ("-id",)

    def __str__(self) -> str:
        return self.email

    def state(self, now: dt.datetime | None = None) -> Invitation.State:
        if self.accepted_at is not None:
            return self.State.ACCEPTED
        if self.revoked_at is not None:
            return self.State.REVOKED
        expired = self.expires_at <= (now or timezone.now())
        return self.State.EXPIRED if expired else self.State.OPEN


class Allowance(models.Model):
    """How much somebody has used of what they may try (`apps.accounts.limits`)."""

    key = models.CharField(max_length=64, primary_key=True)
    """A keyed hash: no list of addresses and accounts."""
    full_at = models.DateTimeField(db_index=True)
    """When nothing will be used any more."""

    def __str__(self) -> str:
        return self.key[:8]
