"""./mist users"""

from __future__ import annotations

from typing import Any

from apps.accounts.models import User
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = "List everybody who has an account."
    json_output = True

    def handle(self, *args: Any, **options: Any) -> None:
        people = User.objects.filter(deleted_at=None).order_by("email")
        rows = [
            {
                "email": person.email,
                "name": person.name,
                "role": person.role,
                "active": person.is_active,
                "last_login": person.last_login,
            }
            for person in people
        ]
        if options["json"]:
            self.print_json(rows)
            return
        width = max((len(person.email) for person in people), default=0)
        for person in people:
            state = "" if person.is_active else "  deactivated"
            self.say(f"{person.email:{width}}  {person.role:6}  {person.name}{state}")
        if not rows:
            self.say("Nobody yet. ./mist setup_link prints the link that makes the first owner.")
