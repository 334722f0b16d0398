"""What all of Mist's commands share: errors as sentences, output for people or as JSON."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import sys
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.serializers.json import DjangoJSONEncoder
from django.db.utils import DatabaseError
from django.forms import BaseForm

from apps.accounts.models import InstanceRole, User
from apps.audit.models import ActorKind
from apps.audit.trail import MIST, Actor, acting_as
from apps.engine import process
from apps.engine.errors import EngineError
from apps.projects.models import App
from apps.projects.selectors import app_by_path

DISK_FULL = "The disk is full. Make room, for example with ./mist cleanup, then try again."


class MistCommand(BaseCommand):
    """A command ends with 0, or with 1 and a sentence on stderr; never with a traceback for
    something that a person can put right."""

    requires_system_checks = ()
    json_output = False
    """Whether the command prints data and so knows --json."""
    is_mist_itself = False
    """Whether what happens meanwhile is no deed of whoever typed the command."""
    name = ""

    def create_parser(self, prog_name: str, subcommand: str, **kwargs: Any) -> CommandParser:
        self.name = subcommand
        return super().create_parser("mist", subcommand, **kwargs)

    def add_arguments(self, parser: CommandParser) -> None:
        if self.json_output:
            parser.add_argument("--json", action="store_true", help="print JSON")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            with acting_as(MIST if self.is_mist_itself else on_command_line(self.name)):
                return super().execute(*args, **options)
        except EngineError as error:
            lines = [error.sentence, error.hint, error.detail]
            raise CommandError("\n".join(line for line in lines if line)) from error
        except DatabaseError as error:
            raise CommandError(database_problem(error)) from error
        except OSError as error:
            if error.errno == 28:
                raise CommandError(DISK_FULL) from error
            raise
        except KeyboardInterrupt:
            sys.exit(130)

    def say(self, text: str = "") -> None:
        self.stdout.write(text)
        self.stdout.flush()

    def print_json(self, data: object) -> None:
        self.say(json.dumps(data, cls=DjangoJSONEncoder, indent=2))


def on_command_line(command: str) -> Actor:
    """Who types commands on the server has no account in Mist: the name is the system's. Who used
    sudo is named by it; only root could have said something else."""
    user = os.environ.get("SUDO_USER") if os.geteuid() == 0 else None
    if not user:
        try:
            user = pwd.getpwuid(os.geteuid()).pw_name
        except KeyError:
            user = f"user {os.geteuid()}"  # a container may run as one that has no name
    return Actor(ActorKind.SYSTEM, name=f"{user} on the server", via=f"./mist {command}".strip())


def database_problem(error: DatabaseError) -> str:
    """The sentence for a database that does not do what it should."""
    text = str(error)
    if "no such table" in text or "does not exist" in text or "no such column" in text:
        return "The database is not set up yet. Run ./mist up first."
    if "full" in text:
        return DISK_FULL
    if "readonly" in text or "unable to open" in text:
        return f"The database in {settings.MIST_DATA_DIR} cannot be opened by this user."
    return f"The database failed: {text}"


def find_app(path: str) -> App:
    """The app that PROJECT/APP names. Raises `CommandError`."""
    app = app_by_path(path)
    if app is None:
        raise CommandError(
            f"There is no app {path}. Write it as PROJECT/APP; ./mist apps lists all."
        )
    return app


def first_admin() -> User | None:
    """In whose name a command acts."""
    return User.objects.filter(role=InstanceRole.OWNER, is_active=True).order_by("id").first()


def form_problem(form: BaseForm) -> CommandError:
    """A form's errors, one a line, each with its field."""
    lines = []
    for name, problems in form.errors.as_data().items():
        for problem in problems:
            text = " ".join(problem.messages)
            lines.append(text if name == "__all__" else f"{name}: {text}")
    return CommandError("\n".join(lines))


def problem_of(error: ValidationError) -> CommandError:
    return CommandError("\n".join(error.messages))


def mist_pid_file() -> Path:
    return Path(settings.MIST_DATA_DIR) / "mist.pid"


def mist_pid() -> int | None:
    """The pid of the Mist that serves this data directory, None when there is none."""
    return process.living_pid(mist_pid_file())


def runs_in_parts() -> bool:
    """Whether this is a Mist whose parts are containers, which compose starts."""
    return bool(settings.MIST_ENGINE_CONFIG.proxy_host)


def take_lock(*, shared: bool) -> int:
    """One Mist for one data directory: one process that is everything, or parts of one, which
    share the lock. Returns its handle; it goes with the process. Raises `CommandError`."""
    path = mist_pid_file().with_name("mist.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except OSError as error:
        with contextlib.suppress(OSError):
            os.close(handle)
        way = "./mist down --proxy" if shared else "./mist down, or docker compose down,"
        raise CommandError(
            f"Another Mist serves {settings.MIST_DATA_DIR} already. {way} stops it."
        ) from error
    return handle
