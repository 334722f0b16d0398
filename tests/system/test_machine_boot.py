"""Mist as a service that starts with the machine."""

from __future__ import annotations

import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from apps.engine import boot
from apps.engine.errors import HostProblem


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Path:
    """A machine with a systemctl that writes down how it was called."""
    noted = tmp_path / "calls"
    program = tmp_path / "bin" / "systemctl"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\necho "$*" >>{noted}\n[ ! -e {tmp_path}/broken ]\n')
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(boot, "SYSTEMD", tmp_path)
    monkeypatch.setattr(boot, "UNIT_FILE", tmp_path / "mist.service")
    for name in ("MIST_PORT", "MIST_ENGINE", "MIST_HTTP_PORT", "DOCKER_HOST"):
        monkeypatch.delenv(name, raising=False)
    settings.MIST_DATA_DIR = str(tmp_path / "data")
    (tmp_path / "data").mkdir()
    return noted


def mist(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def test_it_starts_with_the_machine_until_it_is_told_not_to(calls: Path, tmp_path: Path) -> None:
    assert "starts with this machine" in mist("boot", "on")
    text = (tmp_path / "mist.service").read_text()
    assert f'Environment="MIST_DATA_DIR={tmp_path / "data"}"' in text
    assert 'mist" up\n' in text and "KillMode=process" in text
    assert "Restart=on-failure" in text and "StartLimitIntervalSec=0" in text
    assert boot.check_boot(tmp_path / "data").ok
    assert mist("down").startswith("Mist is stopped.\nIt starts again")
    assert "no longer" in mist("boot", "off")
    assert not (tmp_path / "mist.service").exists()
    assert calls.read_text().splitlines() == [
        "daemon-reload",
        "enable mist.service",
        "restart mist.service",
        "stop mist.service",
        "disable --now mist.service",
        "daemon-reload",
    ]
    assert mist("boot", "off") == "Mist does not start with this machine.\n"
    assert not boot.check_boot(tmp_path / "data").ok


def test_settings_of_the_shell_alone_are_not_lost_silently(
    calls: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MIST_BASE_DOMAIN", "apps.example.com")
    with pytest.raises(CommandError, match="MIST_BASE_DOMAIN would be lost"):
        mist("boot", "on")
    assert not calls.exists()


def test_the_service_of_another_mist_is_left_alone(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "mist.service").write_text('Environment="MIST_DATA_DIR=/elsewhere"\n')
    with pytest.raises(CommandError, match="another Mist"):
        mist("boot", "on")
    assert "elsewhere" in (tmp_path / "mist.service").read_text() and not calls.exists()


def test_a_systemd_that_refuses_is_said(calls: Path, tmp_path: Path) -> None:
    (tmp_path / "broken").touch()
    with pytest.raises(CommandError, match="systemctl daemon-reload failed"):
        mist("boot", "on")


def test_without_systemd_it_says_what_to_do(
    calls: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(boot, "SYSTEMD", tmp_path / "none")
    with pytest.raises(HostProblem, match="does not run systemd"):
        boot.start_at_boot(program=Path("/opt/mist/mist"), data_dir=tmp_path)
    assert "no systemd here" in boot.check_boot(tmp_path).hint


@pytest.mark.docker
def test_systemd_itself_understands_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "a b 100% $HOME" / "mist"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "mist.service"
    unit.write_text(boot.unit_text(program=program, data_dir=tmp_path))
    words = ["systemd-analyze", "verify", "--man=no", str(unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    wrong = [line for line in (done.stdout + done.stderr).splitlines() if "mist.service" in line]
    # Units that it wants may be missing on a machine that systemd does not run.
    assert [line for line in wrong if "docker.service" not in line] == []
