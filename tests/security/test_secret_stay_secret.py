"""A token in a repository's address is refused at the door, and nothing of an address stays behind; nothing
changes by a request that no page of Mist's has made."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.test import Client
from django.urls import resolve, reverse

from apps.accounts.models import User
from apps.deployments.models import Deployment
from apps.engine.deadline import Deadline
from apps.engine.egress import Rules
from apps.engine.errors import InvalidSource
from apps.engine.git import CommandLineGit
from apps.projects.models import App, Project
from apps.sources.models import Webhook
from tests.access.test_every_address import World, addresses, world
from tests.engine.git_host import serve_git

__all__ = ["world"]
SECRETS = [
    "https://ghp_s3cret@git.example.com/a/b",
    "https://oauth2:s3cret@git.example.com/a/b",
    "https://git.example.com/a/b?access_token=s3cret",
    "ssh://git:s3cret@git.example.com/a/b",
]


@pytest.mark.parametrize("url", SECRETS)
def test_a_token_in_the_clone_address_is_neither_kept_nor_shown(
    client: Client, alice: User, shop: Project, url: str
) -> None:
    client.force_login(alice)
    answer = client.post(
        "/projects/shop/new-app/", {"slug": "web", "repository": url, "branch": "main"}
    )
    assert answer.status_code == 200 and not App.objects.exists()
    page = answer.content.decode()
    assert "must not hold a user, password or token" in page
    # What a person typed stands in the field once more, for them alone, and nowhere else.
    assert page.count("s3cret") == page.count(f'value="{url}"') <= 1
    with pytest.raises(InvalidSource) as caught:
        CommandLineGit(Rules()).branches(url=url, deadline=Deadline(5))
    assert "s3cret" not in f"{caught.value!r}{caught.value.sentence}{caught.value.hint}"


def test_no_address_is_left_in_the_mirrors_config(tmp_path: Path) -> None:
    with serve_git(tmp_path / "host") as host:
        origin = host.create("halden/hidden-name")
        origin.commit({"a": "1"}, "First")
        mirror = tmp_path / "mirror"
        CommandLineGit(Rules(localhost=True)).fetch(
            url=origin.url, mirror=mirror, ref="main", log=lambda _: None, deadline=Deadline(30)
        )
    assert (mirror / "config").is_file()
    for file in mirror.rglob("*"):
        if file.is_file():
            assert b"hidden-name" not in file.read_bytes(), file


HOOKS = {"webhook", "github_app_webhook", "deploy_hook"}
"""Signed, or with a secret for an address; no cookie counts there."""
OPEN_TO_OTHER_SITES = {"sample_repository", *HOOKS}
"""Addresses that take a POST without a token of Mist's own pages: git's reading of the sample, and
hooks."""


def test_a_forged_request_is_refused_at_every_address(world: World, alice: User) -> None:
    """Also at what may come later: Mist has no OAuth, so no state that could be forged. The API
    hears only who brings a token, and a webhook who signs, never a browser's cookie."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(alice)
    before = (App.objects.count(), Deployment.objects.count(), App.objects.get().wanted)
    seen = 0
    for pattern in addresses():
        name = str(pattern.name)
        keys = pattern.pattern.converters
        path = reverse(name, kwargs={key: world.values[key] for key in keys})
        exempt = getattr(resolve(path).func, "csrf_exempt", False)
        api = path.startswith("/api/")
        assert api or exempt is (name in OPEN_TO_OTHER_SITES), name
        if name == "webhook":
            path = reverse(name, args=["github", Webhook.objects.get().public_id])
        if api or not exempt or name in HOOKS:
            seen += 1
            answer = client.post(
                path, {"confirm": "web"}, headers={"origin": "https://evil.example"}
            )
            assert answer.status_code in (401, 403, 404, 405), (name, answer.status_code)
    assert seen > 40
    assert (App.objects.count(), Deployment.objects.count(), App.objects.get().wanted) == before
