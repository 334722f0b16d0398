"""What open pages listen to, and what streams into them."""

from __future__ import annotations

import functools

from apps.deployments.events import LOBBY, app_group, deployment_group
from apps.deployments.log_feed import BuildLogFeed
from apps.deployments.models import Deployment
from apps.deployments.output_feed import OutputFeed
from apps.live.pages import FeedFactory, Live
from apps.projects.models import App, ProjectRole


def anything(**address: object) -> Live:
    """For lists: whatever changes somewhere. Each page has the sidebar, which is such a list."""
    return Live(groups=[LOBBY])


def of_app(*, project: str, app: str, **address: object) -> Live:
    """For the pages of one app."""
    found = App.objects.filter(project__slug=project, slug=app).values_list("pk", flat=True)
    return Live(groups=[LOBBY, *(app_group(pk) for pk in found)])


def of_deployment(*, project: str, app: str, number: int) -> Live:
    """For the page of one deployment, with its build log."""
    found = Deployment.objects.filter(app__project__slug=project, app__slug=app, number=number)
    groups, feeds = [LOBBY], dict[str, FeedFactory]()
    for pk in found.values_list("pk", flat=True):
        groups.append(deployment_group(pk))
        feeds["log"] = functools.partial(BuildLogFeed, pk)
    return Live(groups, feeds, {"log": ProjectRole.DEVELOPER})


def of_output(*, project: str, app: str) -> Live:
    """For the page of what an app's container writes."""
    found = App.objects.filter(project__slug=project, slug=app).values_list("pk", flat=True)
    groups, feeds = [LOBBY], dict[str, FeedFactory]()
    for pk in found:
        groups.append(app_group(pk))
        feeds["log"] = functools.partial(OutputFeed, pk)
    return Live(groups, feeds)
