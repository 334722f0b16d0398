"""./mist setup_link"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError

from apps.system.management.base import MistCommand
from apps.system.planning import setup_link
from apps.system.services import setup_token


class Command(MistCommand):
    help = "Print the one-time link that makes the first administrator."

    def handle(self, *args: Any, **options: Any) -> None:
        token = setup_token()
        if token is None:
            raise CommandError(
                "Mist is set up already. ./mist reset_password gives a user a new password."
            )
        self.say(setup_link(token))
