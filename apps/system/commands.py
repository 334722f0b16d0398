"""What can be done from anywhere: pages to go to, and commands for an app."""

from __future__ import annotations

from dataclasses import dataclass

from django.urls import NoReverseMatch, reverse

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.projects.access import includes
from apps.projects.models import App, ProjectRole


@dataclass(frozen=True)
class Item:
    """One line of the answer."""

    icon: str
    text: str
    href: str
    hint: str = ""
    thing: App | Deployment | None = None
    """Whose state is shown beside it."""
    posts: bool = False
    """Does something at once: sent as a form."""
    asks: bool = False
    """Does something after a question: `href` asks it."""


@dataclass(frozen=True)
class Command:
    """Something to do with an app, or a page of it."""

    words: tuple[str, ...]
    """What people type for it; the first is its name."""
    icon: str
    text: str
    url: str
    posts: bool = False
    asks: bool = False
    need: ProjectRole = ProjectRole.DEVELOPER

    def fits(self, app: App, role: ProjectRole | None) -> bool:
        """Whether it can be done as the app is now, by who has the role there, and is there at
        all."""
        if role is None or not includes(role, self.need):
            return False
        is_there, runs = app.observed != App.Observed.NONE, app.wanted == App.Wanted.RUNNING
        if self.url in ("app_restart", "app_stop"):
            return is_there and runs
        if self.url == "app_start":
            return is_there and not runs
        return page_exists(self.url, app.project.slug, app.slug)

    def item(self, app: App) -> Item:
        """The command for an app that has what `with_gap` adds."""
        hint = app.branch if self.url == "app_deploy" else ""
        if hint and app.makes_gap:  # type: ignore[attr-defined]
            hint += ", stops it first"
        href = reverse(self.url, args=[app.project.slug, app.slug])
        return Item(
            self.icon, f"{self.text} {app_name(app)}", href, hint, posts=self.posts, asks=self.asks
        )


COMMANDS = (
    Command(("deploy", "build", "release"), "rocket", "Deploy", "app_deploy", posts=True),
    Command(("restart",), "rotate-cw", "Restart", "app_restart", posts=True),
    Command(("start",), "play", "Start", "app_start", posts=True),
    Command(("logs", "output"), "scroll-text", "Open logs of", "app_logs"),
    Command(
        ("environment", "variables", "secrets"), "key-round", "Edit environment of",
        "app_environment",
    ),
    Command(("metrics", "usage"), "chart-line", "Open metrics of", "app_metrics",
            need=ProjectRole.VIEWER),
    Command(("stop",), "circle-stop", "Stop", "app_stop", asks=True),
    Command(("domains",), "globe", "Edit domains of", "app_domains"),
    Command(("settings",), "settings-2", "Edit settings of", "app_settings"),
)  # fmt: skip
PAGES = (
    ("layers", "Projects", "dashboard"),
    ("rocket", "Deployments", "deployment_list"),
    ("server", "Server", "server"),
    ("hard-drive", "Storage and clean-up", "storage"),
    ("users", "Users", "users"),
    ("scroll-text", "Audit", "audit"),
    ("settings-2", "Settings", "settings"),
    ("user", "Account", "account"),
    ("plus", "New project", "project_new"),
)


STAFF_PAGES = frozenset({"settings", "storage", "server", "users", "audit", "project_new"})


def pages(user: User) -> list[Item]:
    """The pages that belong to no project and that the person may see."""
    return [
        Item(icon, text, reverse(url))
        for icon, text, url in PAGES
        if user.is_active and page_exists(url) and (url not in STAFF_PAGES or user.is_admin)
    ]


def app_name(app: App) -> str:
    return f"{app.project.slug} / {app.slug}"


def page_exists(url: str, *args: str) -> bool:
    """Whether this Mist has the page."""
    try:
        reverse(url, args=args)
    except NoReverseMatch:
        return False
    return True
