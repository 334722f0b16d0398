"""A whole Mist deploys from private hosts: by a token, and by a key at a server that was confirmed."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.git_host import serve_git
from tests.engine.ssh_host import serve_ssh
from tests.machine.live import LiveMist, live_mist

pytestmark = pytest.mark.docker
TOKEN = "glpat-s3cret-of-the-app"
FILES = {
    "Dockerfile": "FROM busybox:latest\nCOPY . /srv\nEXPOSE 8000\n"
    'CMD ["httpd", "-f", "-p", "8000", "-h", "/srv"]\n',
    "index.html": "private\n",
}
CONFIRM = """
from apps.engine.connect import get_engine
from apps.engine.deadline import Deadline
from apps.projects.models import Project
from apps.sources.credential_services import known_host_confirm
keys = get_engine().git.host_keys(host="127.0.0.1", port={port}, deadline=Deadline(30))
known_host_confirm(project=Project.objects.get(), keys=keys, confirmed_by=None)
"""


@pytest.fixture
def mist(tmp_path: Path) -> Iterator[LiveMist]:
    with live_mist(tmp_path / "data") as found:
        found.run("up", "--detach")
        found.run("project_create", "shop")
        yield found


def test_a_token_opens_what_is_deployed_and_is_nowhere_to_read(
    mist: LiveMist, tmp_path: Path
) -> None:
    with serve_git(tmp_path / "git") as host:
        origin = host.create("shop/web")
        library = host.create("shop/library")
        sha = library.commit({"hello.txt": "from a submodule\n"})
        origin.git("update-index", "--add", "--cacheinfo", f"160000,{sha},library")
        modules = '[submodule "library"]\n\tpath = library\n\turl = ../library\n'
        (origin.path / "library").mkdir()
        for name, text in {**FILES, ".gitmodules": modules}.items():
            (origin.path / name).write_text(text)
            origin.git("add", name)
        origin.git("commit", "--quiet", "--message", "First")
        host.closed |= {"shop/web", "shop/library"}
        host.logins["oauth2"] = TOKEN
        made = ("app_create", "shop/web", "--repo", origin.url, "--token-stdin", "--submodules")
        said = mist.run(*made, stdin=f"{TOKEN}\n")
        said += mist.run("deploy", "shop/web", "--follow")
        assert mist.visit("web-shop.localhost", "/library/hello.txt") == (200, "from a submodule\n")
        host.logins["oauth2"] = "another-one"
        failed = mist.result("deploy", "shop/web", "--follow")
    assert failed.returncode == 1 and "is private or does not exist" in failed.stderr
    assert TOKEN not in said + failed.stdout + failed.stderr
    for file in mist.data_dir.rglob("*"):
        assert not file.is_file() or TOKEN.encode() not in file.read_bytes(), file


def test_a_key_opens_it_once_somebody_has_confirmed_the_server(
    mist: LiveMist, tmp_path: Path
) -> None:
    with serve_ssh(tmp_path / "ssh") as host:
        origin = host.create("shop/web")
        origin.commit(FILES)
        made = mist.run("app_create", "shop/web", "--repo", origin.url, "--deploy-key", "--json")
        host.admit_public(json.loads(made)["deploy_key"])
        refused = mist.result("deploy", "shop/web", "--follow")
        assert refused.returncode == 1 and "Nobody has confirmed the SSH key" in refused.stderr
        mist.run("shell", "-c", CONFIRM.format(port=host.port))
        mist.run("deploy", "shop/web", "--follow")
        assert mist.visit("web-shop.localhost") == (200, "private\n")
        host.stop()
        host.start()
        changed = mist.result("deploy", "shop/web", "--follow")
        assert changed.returncode == 1 and "shows another SSH key" in changed.stderr
        assert mist.visit("web-shop.localhost") == (200, "private\n")
    assert list((mist.data_dir / "keys").glob("in-use-*")) == []
