"""The settings page: what is configured, from where, and no secret."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client
from pytest_django import Settings

from apps.accounts.models import User
from apps.engine.base import Engine
from apps.engine.connect import get_engine
from apps.engine.errors import EngineUnavailable
from apps.system.configuration import GROUPS, configured, source_of, without_password
from mist_project.env import read_settings_file

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def inside(client: Client, alice: User, engine: Engine) -> Client:
    client.force_login(alice)
    return client


def documented() -> set[str]:
    text = (ROOT / "README.md").read_text()
    table = text.split("## Configuration")[1].split("\n## ")[0]
    rows = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    return {name for row in rows for name in re.findall(r"`([A-Z0-9_]+)`", row)}


def test_it_shows_every_setting_that_the_readme_names() -> None:
    assert {setting.name for _, _, group in GROUPS for setting in group} == documented()


def test_it_shows_values_and_where_they_come_from(
    inside: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.MIST_KEEP_IMAGES = 9
    settings.MIST_FROM_FILE = frozenset({"MIST_KEEP_IMAGES"})
    settings.MIST_BASE_DOMAIN = "apps.example.com"
    monkeypatch.setenv("MIST_BASE_DOMAIN", "apps.example.com")
    rows = {row.setting.name: row for _, _, group in configured() for row in group}
    assert (rows["MIST_KEEP_IMAGES"].value, rows["MIST_KEEP_IMAGES"].source) == ("9", "mist.env")
    assert rows["MIST_BASE_DOMAIN"].source == "environment"
    assert (rows["MIST_BUILD_TIMEOUT"].value, rows["MIST_BUILD_TIMEOUT"].source) == (
        "1800 s",
        "default",
    )
    page = inside.get("/settings/").content.decode()
    assert "apps.example.com" in page and "From the environment" in page
    assert "From mist.env" in page and "./mist up" in page


def test_it_shows_no_secret(
    inside: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgres://mist:pass-word-1@db/mist")
    settings.REDIS_URL = "redis://:pass-word-2@redis/0"
    settings.MIST_ENCRYPTION_KEYS = ["pass-word-3"]
    page = inside.get("/settings/").content.decode()
    assert "pass-word" not in page
    assert django_settings.SECRET_KEY not in page
    assert "postgres://mist:••••••••@db/mist" in page
    assert without_password("sqlite:////data/mist.db") == "sqlite:////data/mist.db"


def test_it_tells_when_the_engine_does_not_answer(inside: Client) -> None:
    get_engine().containers.fail(  # type: ignore[attr-defined]
        "info", EngineUnavailable("The Docker engine does not answer.")
    )
    page = inside.get("/settings/").content.decode()
    assert "The Docker engine does not answer." in page and "./mist doctor" in page


def test_it_is_for_administrators(client: Client, alice: User) -> None:
    User.objects.update(role="member")
    client.force_login(User.objects.get())
    assert client.get("/settings/").status_code == 403
    assert 'href="/settings/"' not in client.get("/account/").content.decode()


def test_a_value_that_the_file_gave_is_known_in_processes_that_inherit_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mist.env").write_text("MIST_ONE=1\nMIST_TWO=2\n# MIST_NO=3\n")
    monkeypatch.setenv("MIST_TWO", "other")
    monkeypatch.setenv("MIST_ONE", "1")
    names = read_settings_file(tmp_path)
    assert names == {"MIST_ONE"}
    environment = {"MIST_ONE": "1", "MIST_TWO": "other"}
    sources = [
        source_of(name, environment=environment, from_file=names)
        for name in ("MIST_ONE", "MIST_TWO", "MIST_THREE")
    ]
    assert sources == ["mist.env", "environment", "default"]
