"""A deployment as whoever pushed it follows it on the terminal."""

from __future__ import annotations

from django.urls import reverse

from apps.deployments.ansi import segments
from apps.deployments.logs import log_path, read_chunk
from apps.deployments.models import Deployment, PostDeploy, Status
from apps.system.planning import dashboard_url

LINES = 500
"""That one step brings at the most."""
REASONS = {
    Status.SKIPPED: "a newer deployment took its place",
    Status.CANCELLED: "the deployment was cancelled",
}


class Watch:
    """Reads the build log on, and knows how it ends. Every step is short."""

    def __init__(self, deployment: Deployment) -> None:
        self._deployment = deployment
        self._offset = self._number = 0
        self.over = False

    def begin(self) -> list[str]:
        """The first words."""
        one = self._deployment
        return [
            f"Deployment #{one.number} of {one.app}, {one.short_commit}",
            f"{self._page()}  (Ctrl-C leaves it running)",
        ]

    def step(self) -> list[str]:
        """What the log has more; `over` when there is no more to come."""
        self._deployment = (
            Deployment.objects.defer("made_from", "variables")
            .select_related("app__project")
            .get(pk=self._deployment.pk)
        )
        done = not self._deployment.is_at_work
        chunk = read_chunk(
            log_path(self._deployment.pk), offset=self._offset, number=self._number, most=LINES
        )
        self._offset, self._number = chunk.offset, chunk.number
        self.over = done and not chunk.more
        return [
            (f"-> {line.message}" if line.level == "mist" else plain(line.text))
            for line in chunk.lines
        ]

    def end(self) -> tuple[list[str], str]:
        """The last words, and why the push is refused: empty when its commit went live."""
        one = self._deployment
        if one.status in (Status.LIVE, Status.RETIRED):
            words = [f"Live: {one.app.url or one.app}"]
            if one.post_deploy == PostDeploy.FAILED:
                words.append(f"The post-deploy command failed. {one.post_deploy_failure}")
            return words, ""
        # Why it failed the log has said last.
        words = ["" if one.status == Status.FAILED else one.failure, *one.failure_hint.splitlines()]
        words.append("What was live before serves on." if self._serves() else "")
        words.append(self._page())
        why = REASONS.get(Status(one.status), f"the deployment {one.get_status_display().lower()}")
        return [plain(line) for line in words if line], why

    def _serves(self) -> bool:
        return Deployment.objects.filter(app=self._deployment.app_id, status=Status.LIVE).exists()

    def _page(self) -> str:
        app = self._deployment.app
        where = [app.project.slug, app.slug, self._deployment.number]
        return f"{dashboard_url()}{reverse('deployment', args=where)}"


def plain(text: str) -> str:
    """A line without colours and control characters: it goes to somebody's terminal."""
    return "".join(piece for _, piece in segments(text))
