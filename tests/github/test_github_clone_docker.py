"""A whole Mist, a private repository that only an installation token opens, and what GitHub is told
in the end."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.github.api import APP_ID, GitHubHost, app_pem
from tests.github.host import serve_github
from tests.machine.live import LiveMist, live_mist
from tests.machine.world import SAMPLES, wait_until

pytestmark = pytest.mark.docker
HOST = "site-shop.localhost"
FILL = """
from apps.projects.services import project_create
from apps.sources.github import offers_of
from apps.sources.github_services import app_create_from_github, installations_sync
from apps.sources.models import GitHubApp
made = GitHubApp.objects.create(
    name="Mist", app_id={app_id}, slug="mist", public_id="p", html_url="{url}", api_url="{api}",
    private_key='''{pem}''', webhook_secret="s", client_secret="c",
)
installations_sync(github_app=made)
shop, found = project_create(slug="shop", created_by=None), made.installations.get()
found.projects.add(shop)
offer = offers_of([found])[0][0]
app_create_from_github(
    project=shop, installation=found, repository=offer.repository, created_by=None, slug="site",
)
"""


@pytest.fixture
def github(tmp_path: Path) -> Iterator[GitHubHost]:
    with serve_github(tmp_path / "github") as host:
        host.install(1, "halden")
        host.repository(1, 7, "halden/site")
        yield host


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    with live_mist(tmp_path / "data") as found:
        yield found


def test_a_private_repository_goes_live_and_github_is_told(
    mist: LiveMist, github: GitHubHost
) -> None:
    origin = github.origin("halden/site")
    shutil.copytree(SAMPLES / "static", origin.path, dirs_exist_ok=True)
    sha = origin.commit({}, "First version")
    mist.run("up", "--detach")
    asked = {"app_id": APP_ID, "url": github.url, "api": github.api_url, "pem": app_pem()}
    mist.run("shell", stdin=FILL.format(**asked))
    mist.run("deploy", "shop/site")
    wait_until(lambda: mist.apps()[0]["live"] == 1, "the repository going live", 300)
    assert mist.visit(HOST)[0] == 200
    wait_until(lambda: "success" in github.states(sha), "GitHub being told", 180)
    commit, said = github.statuses[-1]
    page = f"{mist.url}/projects/shop/apps/site/deployments/1/"
    assert (commit, said["state"], said["target_url"]) == (sha, "success", page)
    _, last = github.deployment_statuses[-1]
    assert (last["state"], last["log_url"]) == ("success", page)
    assert nowhere_on_disk(mist, list(github.tokens))
    # GitHub is down: the app is deployed all the same, and it is told afterwards.
    github.is_down = True
    second = origin.commit({"site/new.txt": "new"}, "Second version")
    mist.run("deploy", "shop/site")
    wait_until(lambda: mist.apps()[0]["live"] == 2, "the second version going live", 300)
    assert mist.visit(HOST, "/new.txt")[1] == "new"
    assert github.states(second) == []
    github.is_down = False
    wait_until(lambda: github.states(second) == ["success"], "GitHub being told at last", 300)
    assert github.states(sha)[-1] == "success"


def nowhere_on_disk(mist: LiveMist, secrets: list[str]) -> bool:
    """Neither in a log, nor in a repository's configuration, nor in the database."""
    assert secrets
    for path in mist.data_dir.rglob("*"):
        if path.is_file() and not path.is_symlink():
            content = path.read_bytes()
            assert not any(secret.encode() in content for secret in secrets), path
    return True
