"""./mist rotate_key"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from apps.projects.fields import key_ring
from apps.projects.keys import key_rotate, outdated_count, secret_columns
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = (
        "Encrypt all secrets with a new key. Safe while Mist runs, and again after it was cut off."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--drop-old",
            action="store_true",
            help="then remove the old keys: what they encrypted, as in older backups of the "
            "database, can be read with a copy of the old key file only",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="only say what would be done; change nothing"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ring = key_ring()
        if options["dry_run"]:
            self._dry_run(drop_old=options["drop_old"])
            return
        done = key_rotate(drop_old=options["drop_old"], say=self.say)
        self.say(f"{_secrets(done.values)} encrypted anew.")
        if ring.is_fixed:
            self.say(
                "The keys are those of MIST_ENCRYPTION_KEYS. For a new one put it there in front, "
                "start Mist again and run this once more; then take the old ones away."
            )
        elif done.dropped:
            keys = "key is" if done.dropped == 1 else "keys are"
            self.say(f"{done.dropped} old {keys} gone. Back up {ring.path}.")
        else:
            self.say(
                f"The old keys stay in {ring.path} for older backups. To remove them: "
                "./mist rotate_key --drop-old"
            )

    def _dry_run(self, *, drop_old: bool) -> None:
        ring = key_ring()
        total = sum(len(batch) for column in secret_columns() for batch in column.tokens())
        self.say(f"{len(ring.keys())} in use: {ring!r}.".replace("<KeyRing ", "").replace(">", ""))
        if ring.is_fixed:
            self.say(f"{_secrets(outdated_count())} would get the first of them.")
            return
        outdated_count()  # Says so when one cannot be read.
        self.say(f"A new key would be added in front, and {_secrets(total)} encrypted with it.")
        if drop_old:
            self.say(f"Then {len(ring.keys())} old would be removed.")
        self.say("Nothing was changed.")


def _secrets(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"
