"""./mist project_create"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from apps.projects.forms import ProjectForm
from apps.projects.services import project_create
from apps.system.management.base import MistCommand, first_admin, form_problem


class Command(MistCommand):
    help = "Make a project: apps that belong together, on a network of their own."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", help="a-z, 0-9 and -, up to 40 characters")

    def handle(self, *args: Any, **options: Any) -> None:
        form = ProjectForm({"slug": options["name"]})
        if not form.is_valid():
            raise form_problem(form)
        project = project_create(slug=form.cleaned_data["slug"], created_by=first_admin())
        self.say(f"Project {project.slug} is there.")
