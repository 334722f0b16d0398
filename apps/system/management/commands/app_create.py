"""./mist app_create"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.projects.dotenv import NAME
from apps.projects.forms import AppForm
from apps.projects.models import App, Project
from apps.projects.references import problems
from apps.projects.selectors import shared_names
from apps.projects.services import app_create
from apps.projects.source_models import PullPolicy, SourceKind
from apps.sources.credential_forms import MAX_TOKEN, TokenForm
from apps.sources.credential_services import deploy_key_make, git_token_save
from apps.system.management.base import MistCommand, first_admin, form_problem
from apps.system.planning import push_url


class Command(MistCommand):
    help = "Make an app: of a Git repository, a ready image, or what is pushed to this Mist."
    json_output = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("path", metavar="PROJECT/APP")
        source = parser.add_mutually_exclusive_group()
        source.add_argument(
            "--repo",
            default="",
            help="https://…, ssh://… or git@host:path; without it the app is pushed or uploaded",
        )
        source.add_argument("--image", default="", help="a ready image, as ghcr.io/owner/name:1.4")
        parser.add_argument(
            "--pull",
            default=PullPolicy.ALWAYS.value,
            choices=PullPolicy.values,
            help="ask the image's registry always, or only when the project has not pulled it yet",
        )
        parser.add_argument("--branch", default="main")
        opens = parser.add_mutually_exclusive_group()
        opens.add_argument(
            "--token-stdin",
            action="store_true",
            help="read an access token for the repository from standard input",
        )
        opens.add_argument(
            "--deploy-key", action="store_true", help="make a deploy key and print its public half"
        )
        parser.add_argument("--username", default="", help="beside the token, where it matters")
        parser.add_argument(
            "--submodules", action="store_true", help="fetch the repository's submodules"
        )
        parser.add_argument("--lfs", action="store_true", help="fetch its files of Git LFS")
        parser.add_argument("--root", default="", help="directory to build in, from the top")
        parser.add_argument("--dockerfile", default="Dockerfile")
        parser.add_argument("--port", default="", help="empty: what the Dockerfile EXPOSEs")
        parser.add_argument(
            "--health-check",
            default="http",
            choices=App.HealthCheck.values,
            help="a path answers, the port accepts connections, or a worker stays up",
        )
        parser.add_argument("--health-path", default="/")
        parser.add_argument(
            "--release-command", default="", help="runs once before a new version starts"
        )
        parser.add_argument(
            "--env",
            action="append",
            default=[],
            metavar="KEY=VALUE",
            help="may be given several times; others see command lines, so set secrets in the "
            "dashboard",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project_name, _, name = options["path"].partition("/")
        project = Project.objects.filter(slug=project_name).first()
        if project is None:
            raise CommandError(
                f"There is no project {project_name}. Make it: ./mist project_create {project_name}"
            )
        form = AppForm(
            {
                "slug": name,
                "source_kind": _kind(options),
                "repository": options["repo"],
                "image_name": options["image"],
                "pull_policy": options["pull"],
                "branch": options["branch"],
                "root_directory": options["root"],
                "dockerfile": options["dockerfile"],
                "port": options["port"],
                "health_check": options["health_check"],
                "health_path": options["health_path"],
                "release_command": options["release_command"],
            },
            project=project,
        )
        if not form.is_valid():
            raise form_problem(form)
        variables = dict(_variable(text) for text in options["env"])
        for name, value in variables.items():
            for problem in problems(value, lambda: shared_names(project.pk)):
                raise CommandError(f"--env {name}: {problem}")
        token = _token(options["username"]) if options["token_stdin"] else None
        by = first_admin()
        comes_along = {"has_submodules": options["submodules"], "has_lfs": options["lfs"]}
        settings = form.settings() | comes_along
        app = app_create(project=project, created_by=by, variables=variables, **settings)
        if token is not None:
            git_token_save(app=app, saved_by=by, **token)
        key = deploy_key_make(app=app, made_by=by).public_key if options["deploy_key"] else ""
        if options["json"]:
            told = {"app": str(app), "url": app.url, "branch": app.branch}
            self.print_json(told | ({"deploy_key": key} if key else {}))
            return
        if key:
            self.say(f"Add this deploy key to the repository at its host:\n{key}")
        self.say(f"App {app} is there. {_next_step(app)}")


def _token(username: str) -> dict[str, str]:
    """What comes in at standard input, which nobody else on this machine sees."""
    form = TokenForm({"token": sys.stdin.read(MAX_TOKEN + 2).strip(), "username": username})
    if not form.is_valid():
        raise form_problem(form)
    token: dict[str, str] = form.cleaned_data
    return token


def _next_step(app: App) -> str:
    if app.source_kind == SourceKind.MIST:
        push = f"git push {push_url(app.project.slug, app.slug)} HEAD:{app.branch}"
        return f"In the folder of its code:\n  {push}\nor: ./mist deploy {app} --from-dir ."
    return f"Deploy it: ./mist deploy {app}"


def _kind(options: Mapping[str, Any]) -> SourceKind:
    if options["image"]:
        return SourceKind.IMAGE
    return SourceKind.GIT if options["repo"] else SourceKind.MIST


def _variable(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not NAME.fullmatch(name):
        raise CommandError(f"--env wants NAME=value, with letters, digits and _ in NAME: {name!r}")
    return name, value
