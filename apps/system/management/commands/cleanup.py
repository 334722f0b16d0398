"""./mist cleanup"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.metrics.planning import size
from apps.storage.inventory import plan_now, take_inventory
from apps.storage.models import CleanUp
from apps.storage.planning import Plan, Removal
from apps.storage.report import counted, report
from apps.storage.services import AlreadyCleaning, cleanup_run
from apps.system.management.base import MistCommand, first_admin

NAME_MAX = 60


class Command(MistCommand):
    help = "Remove images, build cache and files that nothing needs. Volumes are never removed."
    json_output = True

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would go and what that frees"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if options["dry_run"]:
            found = take_inventory()
            plan = plan_now(found)
            if options["json"]:
                self.print_json(report(found, plan))
            else:
                self._tell_plan(plan)
            return
        try:
            done = cleanup_run(requested_by=first_admin())
        except AlreadyCleaning as error:
            raise CommandError(str(error)) from error
        if options["json"]:
            self.print_json(_facts(done))
        if done.status == CleanUp.Status.FAILED:
            raise CommandError(done.problem)
        if not options["json"]:
            self._tell_result(done)

    def _tell_plan(self, plan: Plan) -> None:
        if plan.is_empty:
            self.say("There is nothing to clean up.")
            return
        for removal in plan.removals:
            self.say(_line(removal))
        if plan.prunes_cache:
            budget = size(plan.cache_budget)
            self.say(f"build cache  whatever exceeds {budget}, used longest ago first")
        least, most = size(plan.least), size(plan.most)
        self.say(f"Frees {most}." if least == most else f"Frees between {least} and {most}.")

    def _tell_result(self, done: CleanUp) -> None:
        self.say(f"Removed: {counted(done.removed) or 'nothing'}. Freed: {size(done.freed)}.")
        for line in done.problem.splitlines():
            self.say(f"Not removed: {line}")


def _line(removal: Removal) -> str:
    name = removal.name.removeprefix("sha256:")[:NAME_MAX]
    of = f" of {removal.of}" if removal.of else ""
    return f"{removal.kind:<11}  {name}{of}, {size(removal.own)}: {removal.reason}"


def _facts(done: CleanUp) -> dict[str, Any]:
    return {
        "status": done.status,
        "removed": done.removed,
        "freed": done.freed,
        "problems": done.problem.splitlines(),
    }
