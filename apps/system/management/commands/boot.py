"""./mist boot"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError, CommandParser

from apps.engine import boot, process
from apps.system.configuration import only_in_environment
from apps.system.management.base import MistCommand, mist_pid_file
from apps.system.planning import dashboard_url


class Command(MistCommand):
    help = "Let Mist start with this machine (on), or no longer (off). Needs systemd and root."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("wanted", choices=("on", "off"))

    def handle(self, *args: Any, **options: Any) -> None:
        if options["wanted"] == "off":
            known = boot.forget_boot()
            self.say("Mist is stopped and no longer starts with this machine." if known else
                     "Mist does not start with this machine.")  # fmt: skip
            return
        lost = only_in_environment(os.environ)
        if lost:
            data_dir = Path(settings.MIST_DATA_DIR)
            raise CommandError(
                f"{', '.join(lost)} would be lost: set in this shell only.\n"
                f"Write what is to stay into {data_dir / 'mist.env'}, one NAME=value a line."
            )
        # The one that was started by hand makes way; apps do not notice.
        process.end_process(mist_pid_file(), timeout=15)
        boot.start_at_boot(
            program=Path(settings.BASE_DIR) / "mist", data_dir=Path(settings.MIST_DATA_DIR)
        )
        # Now and then systemd starts it: it answers once it is set up.
        self.say(f"Mist starts now, and starts with this machine: {dashboard_url()}")
