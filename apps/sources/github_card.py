"""GitHub on an app's page Source."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest

from apps.projects.models import App
from apps.projects.source_models import SourceKind
from apps.sources.github import link_of
from apps.sources.models import GitHubReport


def github_card(request: HttpRequest, app: App) -> dict[str, Any]:
    """What `partials/source_github.html` shows as `github`. Asks nobody but the database."""
    link = link_of(app) if app.source_kind == SourceKind.GITHUB else None
    problem = ""
    if link is not None:
        installation = link.installation
        if installation.removed_at:
            problem = f"The App is not installed in {installation.account} any more"
        elif installation.suspended_at:
            problem = f"Its installation in {installation.account} is suspended on GitHub"
        elif not installation.projects.filter(pk=app.project_id).exists():
            problem = f"{installation.account} is not open to this project any more"
        else:
            newest = GitHubReport.objects.filter(deployment__app=app).order_by("-pk").first()
            if newest is not None and newest.problem:
                problem = f"GitHub is not told of deployments: {newest.problem}"
    return {"github": {"link": link, "problem": problem}}
