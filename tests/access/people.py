"""Who asks in the tests of access."""

from __future__ import annotations

from apps.accounts.models import InstanceRole, User
from apps.projects.models import App, Membership, ProjectRole
from tests.access.table import ADMIN, DEVELOPER, GONE, MANAGER, OWNER, VIEWER


def person_who_is(person: str, app: App) -> User:
    """An account with the role of that name, in the instance or in the app's project."""
    role = {ADMIN: InstanceRole.ADMIN, OWNER: InstanceRole.OWNER, GONE: InstanceRole.OWNER}
    user = User.objects.create_user(
        f"{person.replace(' ', '-')}@example.com",
        name=person,
        role=role.get(person, InstanceRole.MEMBER),
    )
    within = {
        VIEWER: ProjectRole.VIEWER,
        DEVELOPER: ProjectRole.DEVELOPER,
        MANAGER: ProjectRole.ADMIN,
    }
    if person in within:
        Membership.objects.create(project=app.project, user=user, role=within[person])
    return user
