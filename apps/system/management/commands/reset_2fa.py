"""./mist reset_2fa"""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from apps.accounts.models import User
from apps.accounts.services import factors_reset
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = "Take away a user's second factors, for who has lost them. The password stays."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")

    def handle(self, *args: Any, **options: Any) -> None:
        user = User.objects.filter(email=options["email"].strip().lower()).first()
        if user is None:
            raise CommandError(f"There is no user {options['email']}.")
        if factors_reset(user=user):
            self.say(
                f"{user.email} logs in with the password alone now, and is logged out everywhere."
            )
        else:
            self.say(f"{user.email} had no second factor, and is logged out everywhere.")
