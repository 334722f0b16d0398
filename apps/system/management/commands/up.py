"""./mist up"""

from __future__ import annotations

import contextlib
import os
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError, CommandParser
from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from apps.domains.acme import issuing_if_known
from apps.engine import boot, host, install, process
from apps.engine.connect import get_engine
from apps.engine.errors import EngineError
from apps.engine.style import build_style
from apps.system.management.base import (
    MistCommand,
    mist_pid,
    mist_pid_file,
    runs_in_parts,
    take_lock,
)
from apps.system.planning import dashboard_url, local_url, setup_link
from apps.system.services import setup_token

START_SECONDS = 60.0


class Command(MistCommand):
    help = "Set everything up and serve: engine, database, static files, proxy, Mist itself."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--detach", action="store_true", help="return to the prompt once Mist serves"
        )
        parser.add_argument(
            "--prepare",
            action="store_true",
            help="set up and start the proxy, but do not serve: the parts are started by hand",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_part = runs_in_parts()
        if mist_pid() is not None and not is_part:
            self.say(f"Mist is running already: {dashboard_url()}")
            self._say_setup_link()
            return
        self._check_room()
        if not options["prepare"] or is_part:
            # Before anything is touched; what serves afterwards takes the lock for itself.
            os.close(take_lock(shared=is_part))
        self._check_host()
        self._prepare_engine()
        self._prepare_files()
        if is_part:
            # Compose starts it, once this is done.
            get_engine().proxy.prepare(issuing_if_known())
        else:
            get_engine().proxy.ensure_running(issuing_if_known())
        if options["prepare"]:
            self.say("Everything is set up.")
            return
        serve = [sys.executable, str(settings.BASE_DIR / "manage.py"), "serve"]
        if not options["detach"]:
            # A new program in this process: what set-up has imported does not stay in memory.
            sys.stdout.flush()
            connection.close()
            os.execv(serve[0], serve)
        self._serve_detached(serve)

    def _check_room(self) -> None:
        """Apps need no room to be served: Traefik is started even where Mist cannot be."""
        folder = settings.MIST_ENGINE_CONFIG.data_dir
        writable = host.check_writable(folder)
        if not writable.ok and not runs_in_parts():
            with contextlib.suppress(EngineError, OSError):
                get_engine().proxy.ensure_running(issuing_if_known())
        host.require(writable)
        room = host.check_data_dir(folder)
        if not room.ok:
            # A server that restarts with a full disk has to serve all the same.
            self.say(f"{room.name}: {room.says}. {room.hint}")

    def _check_host(self) -> None:
        config = settings.MIST_ENGINE_CONFIG
        host.require(host.check_git())
        for check in host.port_checks(config, settings.MIST_PORT, settings.MIST_BIND):
            host.require(check)

    def _prepare_engine(self) -> None:
        containers = get_engine().containers

        def answers() -> bool:
            try:
                containers.info()
            except EngineError:
                return False
            return True

        install.ensure_engine(settings.MIST_ENGINE_CONFIG, answers=answers, log=self.say)

    def _prepare_files(self) -> None:
        executor = MigrationExecutor(connection)
        if executor.migration_plan(executor.loader.graph.leaf_nodes()):
            self.say("Preparing the database")
            call_command("migrate", interactive=False, verbosity=0)
        Path(settings.MIST_DATA_DIR).chmod(0o700)
        build_style(settings.BASE_DIR, log=self.say)
        if _newest(settings.BASE_DIR / "static") > _collected():
            self.say("Collecting static files")
            call_command("collectstatic", interactive=False, verbosity=0)

    def _serve_detached(self, serve: list[str]) -> None:
        log = Path(settings.MIST_DATA_DIR) / "mist.log"
        process.spawn_detached(serve, log=log, pid_file=mist_pid_file())
        until = time.monotonic() + START_SECONDS
        while not _answers():
            if mist_pid() is None or time.monotonic() > until:
                room = host.check_data_dir(settings.MIST_ENGINE_CONFIG.data_dir)
                last = [f"{room.says}. {room.hint}"]
                if room.ok:
                    last = log.read_text(errors="replace").splitlines()[-5:]
                raise CommandError("\n".join(["Mist did not start.", *last, f"Its log is {log}."]))
            time.sleep(0.05)
        self.say(f"Mist is running: {dashboard_url()}")
        self._say_setup_link()
        if boot.SYSTEMD.is_dir() and not boot.serves_at_boot(Path(settings.MIST_DATA_DIR)):
            self.say("After a restart of this machine: ./mist up again, or now ./mist boot on.")

    def _say_setup_link(self) -> None:
        if token := setup_token():
            self.say(f"Set it up, once, at {setup_link(token)}")


def _answers() -> bool:
    try:
        with urllib.request.urlopen(f"{local_url()}/healthz/", timeout=2) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def _newest(folder: Path) -> float:
    """When the newest file below the folder changed, in seconds since the epoch."""
    return max((p.stat().st_mtime for p in folder.rglob("*") if p.is_file()), default=0.0)


def _collected() -> float:
    manifest = Path(settings.STATIC_ROOT) / "staticfiles.json"
    return manifest.stat().st_mtime if manifest.is_file() else -1.0
