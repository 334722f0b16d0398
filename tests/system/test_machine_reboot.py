"""A machine that restarts, and one that loses its power: both come back without a person."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path
from typing import Any

import pytest

from tests.machine.vm import PATIENCE, VirtualMachine, virtual_machine
from tests.machine.vm_disk import GIT_ROOT, GIT_URL
from tests.machine.world import wait_until

pytestmark = [pytest.mark.docker, pytest.mark.long(15)]
SETTINGS = "MIST_GIT_LOCALHOST=true\\nMIST_HEALTH_TIMEOUT=300\\n"
HOST = "web-shop.localhost"
DOCKERFILE = (
    'FROM busybox:latest\nCOPY site /www\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n'
)
SLOWLY = "RUN echo building slowly && sleep 10\n"
COMMIT = "git -c user.name=Alice -c user.email=alice@example.com commit --quiet --message Version"
# One process for many commands: Python takes its time to start in there.
BEGIN = f"""
from django.core.management import call_command
call_command("project_create", "shop")
call_command("app_create", "shop/web", repo="{GIT_URL}/acme/site", port="8080")
call_command("deploy", "shop/web", wait=True)
"""
LOOK = """
import contextlib, io, json, time
from django.core.management import call_command
from apps.deployments.models import Deployment
from apps.system.management.soak_invariants import find_broken, find_leaks, is_at_rest
from apps.projects.models import App

def said(command):
    out = io.StringIO()
    with contextlib.suppress(SystemExit):
        call_command(command, json=True, stdout=out)
    return json.loads(out.getvalue())

def is_quiet():
    return is_at_rest() and not App.objects.exclude(observed=App.Observed.RUNNING).exists()

until = time.monotonic() + 400
while not is_quiet() and time.monotonic() < until:
    time.sleep(0.2)
rows = Deployment.objects.order_by("number").values_list("status", "failure")
print(json.dumps({
    "at rest": is_at_rest(), "broken": find_broken(), "left over": find_leaks(),
    "deployments": list(rows), "doctor": said("doctor"), "status": said("status"),
}))
"""


def commit(vm: VirtualMachine, version: str, more: str = "") -> None:
    """A version of the site in the repository inside of the machine."""
    vm.run(
        textwrap.dedent(f"""\
        set -e
        mkdir -p {GIT_ROOT}/acme/site/site && cd {GIT_ROOT}/acme/site
        git init --quiet --initial-branch=main
        printf %s {version} >site/index.html
        cat >Dockerfile <<'END'
        """)
        + f"{DOCKERFILE}{more}END\ngit add --all && {COMMIT}\n"
    )


def wait_for(vm: VirtualMachine, version: str) -> None:
    """Mist's page answers, and so does this version of the app at its address."""
    pages, visitors = vm.pages_port, vm.visitors_port
    wait_until(lambda: vm.answer(pages, "127.0.0.1", "/login/")[0] == 200, "Mist's page", PATIENCE)
    wait_until(lambda: vm.answer(visitors, HOST) == (200, version), f"version {version}", PATIENCE)


def check_rest(vm: VirtualMachine, *deployments: str) -> None:
    """Nothing is broken or left over, and the machine is as Mist wants it."""
    line = vm.mist("shell", "-v", "0", "-c", LOOK).strip().splitlines()[-1]
    found: dict[str, Any] = json.loads(line)
    assert found["at rest"] and (found["broken"], found["left over"]) == ([], [])
    assert found["deployments"] == [[status, ""] for status in deployments]
    assert [check for check in found["doctor"] if not check["ok"]] == []
    status = found["status"]
    assert status["mist_pid"] and status["proxy"] and not status["engine_problem"]
    assert (status["apps"], status["apps_running"], status["deployments_unfinished"]) == (1, 1, 0)


def test_everything_is_back_after_a_reboot_and_after_a_power_cut(tmp_path: Path) -> None:
    with virtual_machine(tmp_path) as vm:
        vm.run(f"mkdir -p /var/lib/mist && printf '{SETTINGS}' >/var/lib/mist/mist.env")
        commit(vm, "1")
        vm.mist("boot", "on")
        wait_until(
            lambda: vm.answer(vm.pages_port, "127.0.0.1", "/login/")[0] == 200, "Mist", PATIENCE
        )
        vm.mist("shell", "-v", "0", "-c", BEGIN)
        wait_for(vm, "1")

        boot = vm.wait_for_boot()
        vm.run("systemctl reboot || true")
        boot = vm.wait_for_boot(before=boot)
        wait_for(vm, "1")
        check_rest(vm, "live")

        commit(vm, "2", SLOWLY)
        vm.mist("deploy", "shop/web")
        log = "/var/lib/mist/logs/2.log"
        vm.run(f"until grep -q 'building slowly$' {log}; do sleep 0.2; done")
        vm.cut_power()
        # The network is what sets such a clock right, some time after Mist has started.
        vm.power_on(hours_behind=1)
        vm.wait_for_boot(before=boot)
        wait_for(vm, "2")
        vm.run("date --set '+1 hour'")
        check_rest(vm, "retired", "live")
