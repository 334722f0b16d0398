"""./mist createadmin"""

from __future__ import annotations

import getpass
import sys
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError, CommandParser
from django.core.validators import validate_email
from django.db import IntegrityError

from apps.accounts.models import User
from apps.system.management.base import MistCommand, problem_of
from apps.system.services import administrator_create


class Command(MistCommand):
    help = "Make an administrator. The password is asked for, or read from standard input."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("email")
        parser.add_argument("--name", default="", help="how others see them")

    def handle(self, *args: Any, **options: Any) -> None:
        email, name = options["email"].strip().lower(), options["name"].strip()
        user = User(email=email, name=name or email.partition("@")[0])
        try:
            validate_email(email)
            password = read_password()
            validate_password(password, user)
        except ValidationError as error:
            raise problem_of(error) from error
        try:
            administrator_create(email=email, name=user.name, password=password)
        except IntegrityError as error:
            raise CommandError(f"There is a user {email} already.") from error
        self.say(f"{email} is an administrator now.")


def read_password() -> str:
    """From the terminal, twice and unseen; from standard input where that is no terminal, so that
    it is never on a command line. Raises `CommandError` when the two differ."""
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\r\n")
    password = getpass.getpass("Password: ")
    if password != getpass.getpass("Password again: "):
        raise CommandError("The two passwords differ.")
    return password
