"""./mist apps"""

from __future__ import annotations

from typing import Any

from apps.deployments.selectors import live_deployment
from apps.projects.models import App
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = "List all apps, what they do and where they answer."
    json_output = True

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [_row(app) for app in App.objects.filter(deleted_at=None).select_related("project")]
        rows.sort(key=lambda row: row["app"])
        if options["json"]:
            self.print_json(rows)
            return
        if not rows:
            self.say("There are no apps yet. ./mist demo makes one.")
            return
        widest = max(len(row["app"]) for row in rows)
        for row in rows:
            live = f"#{row['live']} {row['commit'][:7]}" if row["live"] else "-"
            self.say(
                f"{row['app']:<{widest}}  {row['state']:<10} {live:<14} {row['url'] or 'a worker'}"
            )


def _row(app: App) -> dict[str, Any]:
    live = live_deployment(app)
    return {
        "app": str(app),
        "state": app.observed,
        "detail": app.observed_detail,
        "live": live.number if live else None,
        "commit": live.commit if live else "",
        "url": app.url,
        "repository": app.repository,
        "branch": app.branch,
    }
