"""Git clones the samples from Mist itself, on this machine only."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

REFS = "/samples/hello.git/info/refs?service=git-upload-pack"


@pytest.mark.django_db(transaction=True)
def test_it_can_be_cloned_without_logging_in(live_server: Any, data_dir: Path) -> None:
    target = data_dir / "clone"
    address = f"{live_server.url}/samples/hello.git"
    subprocess.run(["git", "clone", "--quiet", address, str(target)], check=True)
    assert (target / "Dockerfile").is_file()


def test_it_is_not_there_for_other_machines(client: Client, db: None, data_dir: Path) -> None:
    assert client.get(REFS).status_code == 200
    assert client.get(REFS, REMOTE_ADDR="192.0.2.7").status_code == 404
    assert client.get(REFS, headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


@pytest.mark.parametrize("name", ["none", "..", "hello%2f..%2fhello", "-x", "HELLO"])
def test_it_serves_samples_only(client: Client, db: None, data_dir: Path, name: str) -> None:
    url = f"/samples/{name}.git/info/refs?service=git-upload-pack"
    assert client.get(url).status_code == 404


def test_it_takes_no_pushes(client: Client, db: None, data_dir: Path) -> None:
    assert client.post("/samples/hello.git/git-receive-pack").status_code == 403
