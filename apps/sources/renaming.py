"""Repositories that have another name than they had: GitHub's number of one outlives its name."""

from __future__ import annotations

from django.db import transaction

from apps.audit.trail import record
from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.github import clone_token, link_of, repository_url
from apps.sources.models import GitHubApp, GitHubLink


def follow_name(app: App) -> None:
    """Before an app of GitHub is cloned: have what opens its repository, and take up the name that
    GitHub has for it now. Raises what `clone_token` does."""
    if app.source_kind != SourceKind.GITHUB:
        return
    name, link = clone_token(app).full_name, link_of(app)
    if link is not None and name:
        repository_named(
            github_app=link.installation.github_app, repository_id=link.repository_id, name=name
        )
        app.repository = App.objects.values_list("repository", flat=True).get(pk=app.pk)


def repository_named(*, github_app: GitHubApp, repository_id: int, name: str) -> list[App]:
    """The repository is called so (`owner/name`): every app of it takes that up. Returns those
    whose address was another one."""
    links = GitHubLink.objects.filter(
        installation__github_app=github_app, repository_id=repository_id
    )
    url, renamed = repository_url(github_app, name), list[App]()
    with transaction.atomic():
        for link in links.exclude(full_name=name).select_related("app__project"):
            app, old = link.app, repository_url(github_app, link.full_name)
            GitHubLink.objects.filter(pk=link.pk).update(full_name=name)
            # Not one that somebody has given another address since.
            if App.objects.filter(pk=app.pk, repository=old).update(repository=url):
                record("app.update", app, before={"repository": old}, after={"repository": url})
                renamed.append(app)
    return renamed
