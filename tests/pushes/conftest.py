"""An app that is pushed, people with tokens, and a repository to push from."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from apps.accounts.models import InstanceRole, User
from apps.api.services import token_create
from apps.engine.kept_push import body_file
from apps.engine.pkt_line import FLUSH, ZERO, pkt
from apps.projects.models import App, Membership, Project, ProjectRole
from apps.projects.services import app_create
from apps.projects.source_models import SourceKind
from tests.engine.git_host import ENVIRONMENT, Origin, git

CAPABILITIES = "report-status side-band-64k object-format=sha1 agent=git/2.39.5"


@pytest.fixture
def pushed(shop: Project, alice: User, data_dir: Path) -> App:
    """The app shop/pushed, to which nothing has been pushed yet."""
    return app_create(
        project=shop,
        slug="pushed",
        repository="",
        created_by=alice,
        port=8000,
        source_kind=SourceKind.MIST,
    )


@pytest.fixture
def code(tmp_path: Path) -> Origin:
    """Somebody's clone with one commit."""
    path = tmp_path / "code"
    path.mkdir()
    git(path, "init", "--quiet", "--initial-branch=main")
    made = Origin(path, "")
    made.commit({"Dockerfile": "FROM scratch\n"}, "First version")
    return made


@pytest.fixture
def person(shop: Project) -> Callable[..., str]:
    """Makes somebody with a role in shop; the secret of their token."""

    def make(name: str, role: ProjectRole | None, *scopes: str, **more: object) -> str:
        user, _ = User.objects.get_or_create(
            email=f"{name}@example.com", defaults={"name": name, "role": InstanceRole.MEMBER}
        )
        if role is not None:
            Membership.objects.get_or_create(user=user, project=shop, defaults={"role": role})
        made = token_create(user=user, name="laptop", scopes=scopes, **more)  # type: ignore[arg-type]
        return made.secret

    return make


def push_request(code: Origin, *updates: tuple[str, str, str]) -> bytes:
    """What git sends for these (old, new, ref); empty commits are none."""
    lines = [
        pkt(
            f"{old or ZERO} {new or ZERO} {ref}{f'{chr(0)} {CAPABILITIES}' if n == 0 else ''}".encode()
        )
        for n, (old, new, ref) in enumerate(updates)
    ]
    wanted = "\n".join(new for _, new, _ in updates if new) + "\n"
    pack = b""
    if wanted.strip():
        pack = subprocess.run(
            ["git", "pack-objects", "--stdout", "--revs", "--quiet"], cwd=code.path, check=True,
            env=ENVIRONMENT, input=wanted.encode(), capture_output=True,
        ).stdout  # fmt: skip
    return b"".join(lines) + FLUSH + pack


def as_file(data: bytes, folder: Path) -> object:
    file = body_file(folder)
    file.write(data)
    return file
