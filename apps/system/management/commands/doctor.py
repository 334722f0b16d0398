"""./mist doctor"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.db.utils import DatabaseError

from apps.engine import boot, host
from apps.engine.connect import get_engine
from apps.engine.errors import SecretsUnreadable
from apps.engine.host import Check
from apps.engine.keys import HINT
from apps.engine.proxy_checks import proxy_checks
from apps.projects.fields import key_ring
from apps.projects.keys import unreadable_count
from apps.system.loops import LATELY, troubles
from apps.system.management.base import MistCommand


class Command(MistCommand):
    help = "Look at everything Mist needs and say what to do about what is wrong."
    json_output = True

    def handle(self, *args: Any, **options: Any) -> None:
        checks = list(self._checks())
        if options["json"]:
            self.print_json([check.as_dict() for check in checks])
        else:
            for check in checks:
                self._print(check)
        if any(check.needed and not check.ok for check in checks):
            sys.exit(1)

    def _checks(self) -> Iterator[Check]:
        config = settings.MIST_ENGINE_CONFIG
        engine = get_engine()

        def version() -> tuple[str, str]:
            info = engine.containers.info()
            return info.version, info.api_version

        yield host.check_python()
        yield host.check_git()
        yield host.check_data_dir(config.data_dir)
        yield check_keys()
        yield check_loops()
        yield host.check_memory()
        yield host.check_engine(version)
        yield host.check_engine_disk(engine.containers.storage)
        yield host.check_buildkit()
        if advice := host.check_live_restore(engine.containers.live_restore):
            yield advice
        if not config.proxy_host:
            # In a container: what starts with the machine is not seen from here.
            yield boot.check_boot(config.data_dir)
        runs = engine.proxy.running()
        yield host.check_proxy(runs, in_container=bool(config.proxy_host))
        if runs:
            yield from proxy_checks(engine)
        yield engine.proxy.check_certificates()
        yield from host.port_checks(config, settings.MIST_PORT, settings.MIST_BIND)

    def _print(self, check: Check) -> None:
        mark = "ok     " if check.ok else ("PROBLEM" if check.needed else "advice ")
        self.say(f"{mark} {check.name}: {check.says}")
        if not check.ok and check.hint:
            self.say(f"        {check.hint}")


def check_keys() -> Check:
    """Whether the keys are there, are nobody else's to read, and decrypt every secret there is."""
    name, ring = "encryption keys", key_ring()
    try:
        keys = len(ring.keys())
        bad, total = unreadable_count()
    except SecretsUnreadable as error:
        return Check(name, False, error.sentence, error.hint)
    except DatabaseError:
        return Check(name, True, f"{keys} in use; the database holds no secrets yet")
    if bad:
        return Check(name, False, f"{bad} of {total} secrets cannot be read with them", HINT)
    if not ring.is_fixed and ring.path.stat().st_mode & 0o077:
        return Check(
            name, False, f"{ring.path} can be read by others", f"Run chmod 600 {ring.path}."
        )
    return Check(name, True, f"{keys} in use, all {total} secrets can be read")


def check_loops() -> Check:
    """Whether what a running Mist does all the time goes on."""
    name = "background work"
    if found := troubles():
        words = "; ".join(str(one) for one in found)
        return Check(
            name, False, words, "Mist tries again by itself. Its log says where that failed."
        )
    return Check(name, True, f"nothing failed in the last {LATELY / 60:.0f} minutes")
