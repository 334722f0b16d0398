"""A large instance for `./mist bench`: people, projects, apps, deployments."""

from __future__ import annotations

import datetime as dt
from importlib import import_module

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from apps.accounts.models import User
from apps.deployments.models import Deployment, Status
from apps.projects.models import App, Project, address_label

APPS = 1_000
APPS_A_PROJECT = 20
DEPLOYMENTS_AN_APP = 50


def fill() -> list[str]:
    """Write 50 projects with 1,000 apps and 50,000 deployments; returns the pages to open."""
    with transaction.atomic():
        projects = Project.objects.bulk_create(
            Project(slug=f"project-{n:02}") for n in range(APPS // APPS_A_PROJECT)
        )
        apps = App.objects.bulk_create(
            App(
                project=project,
                slug=f"app-{n:02}",
                label=address_label(project.slug, f"app-{n:02}"),
                repository=f"https://git.example.com/{project.slug}/app-{n:02}.git",
                observed=App.Observed.RUNNING,
                last_number=DEPLOYMENTS_AN_APP,
            )
            for project in projects
            for n in range(APPS_A_PROJECT)
        )
        Deployment.objects.bulk_create(_deployments(apps), batch_size=500)
    pages = [reverse("dashboard")]
    pages += [reverse("project", args=[project.slug]) for project in projects]
    pages += [reverse("app", args=[app.project.slug, app.slug]) for app in apps[::10]]
    return pages


def _deployments(apps: list[App]) -> list[Deployment]:
    begin = timezone.now() - dt.timedelta(days=90)
    return [
        Deployment(
            app=app,
            number=number,
            ref="main",
            status=Status.LIVE if number == DEPLOYMENTS_AN_APP else Status.RETIRED,
            commit=f"{app.pk * 100 + number:040x}",
            commit_message=f"Change number {number}",
            commit_author="Alice Archer",
            created_at=begin + dt.timedelta(days=number, seconds=app.pk),
            started_at=begin + dt.timedelta(days=number, seconds=app.pk + 1),
            finished_at=begin + dt.timedelta(days=number, seconds=app.pk + 20),
            port=8000,
        )
        for number in range(1, DEPLOYMENTS_AN_APP + 1)
        for app in apps
    ]


def log_in(people: int, name: str = "user") -> list[str]:
    """Cookies of `people` users who have logged in; `name` begins their addresses."""
    store = import_module(settings.SESSION_ENGINE).SessionStore
    cookies = []
    for number in range(people):
        user = User.objects.create_superuser(f"{name}-{number}@example.com", None, name="Bench")
        session = store()
        session[SESSION_KEY] = str(user.pk)
        session[BACKEND_SESSION_KEY] = settings.AUTHENTICATION_BACKENDS[0]
        session[HASH_SESSION_KEY] = user.get_session_auth_hash()
        session.create()
        cookies.append(f"{settings.SESSION_COOKIE_NAME}={session.session_key}")
    return cookies
