"""./mist down"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandParser

from apps.engine import boot, process
from apps.engine.connect import get_engine
from apps.system.management.base import MistCommand, mist_pid_file


class Command(MistCommand):
    help = "Stop Mist. Apps and the proxy go on serving."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--proxy", action="store_true", help="stop Traefik too: no app answers any more"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        service = boot.stop_service(Path(settings.MIST_DATA_DIR))
        stopped = process.end_process(mist_pid_file(), timeout=15) or service
        self.say("Mist is stopped." if stopped else "Mist was not running.")
        if service:
            self.say("It starts again with this machine; ./mist boot off ends that.")
        if not options["proxy"]:
            return
        get_engine().proxy.stop()
        self.say("Traefik is stopped.")
