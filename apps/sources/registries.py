"""Which login a project has for a registry."""

from __future__ import annotations

from django.db.models import QuerySet

from apps.engine.data import RegistryLogin
from apps.projects.models import Project
from apps.sources.models import RegistryCredential


def registries_of(project: Project) -> QuerySet[RegistryCredential]:
    """By name of the registry."""
    found = RegistryCredential.objects.filter(project=project)
    return found.select_related("created_by").order_by("registry")


def login_for(project: Project, registry: str) -> RegistryLogin | None:
    """What the project shows to that very registry, port included, and to no other; None where
    everybody may ask."""
    found = RegistryCredential.objects.filter(project=project, registry=registry).first()
    return None if found is None else login_of(found)


def login_of(credential: RegistryCredential) -> RegistryLogin:
    return RegistryLogin(credential.registry, credential.username, credential.secret)
