"""./mist app_create for a private repository: the token comes in at standard input only."""

from __future__ import annotations

import io
import json

import pytest
from django.core.management import CommandError, call_command

from apps.projects.models import App, Project
from apps.sources.access import git_access

ARGUMENTS = ("app_create", "shop/api", "--repo", "https://git.example.com/shop/api")
TOKEN = "glpat-s3cret-of-the-app"


def mist(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out, stderr=out)
    return out.getvalue()


def test_a_token_comes_in_at_standard_input(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{TOKEN}\n"))
    said = mist(*ARGUMENTS, "--token-stdin", "--username", "ci", "--submodules", "--lfs")
    access = git_access(App.objects.get())
    assert (access.username, access.password) == ("ci", TOKEN)
    assert access.submodules and access.lfs and TOKEN not in said


def test_without_a_token_no_app_is_made(shop: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    with pytest.raises(CommandError, match="token: Paste"):
        mist(*ARGUMENTS, "--token-stdin")
    assert not App.objects.exists()


def test_a_deploy_key_is_made_and_its_public_half_told(shop: Project) -> None:
    told = json.loads(mist(*ARGUMENTS, "--deploy-key", "--json"))
    access = git_access(App.objects.get())
    assert told["deploy_key"].startswith("ssh-ed25519 ") and access.ssh_key
    assert access.ssh_key.splitlines()[2] not in json.dumps(told)
