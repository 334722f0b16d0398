"""People who use Mist."""

from __future__ import annotations

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
