"""Uploads: an archive from a browser, a folder of the server."""

from __future__ import annotations

import io
import os
import subprocess
import zipfile
from pathlib import Path
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import CommandError, call_command
from django.test import Client

from apps.accounts.models import User
from apps.deployments import pipeline
from apps.deployments.models import Deployment, Status
from apps.deployments.tasks import claim_next
from apps.engine.deadline import Deadline
from apps.engine.fake import FakeEngine
from apps.engine.kept import kept
from apps.projects.models import App
from apps.projects.selectors import kept_path
from apps.sources.uploading import upload_limit

HERE = "/projects/shop/apps/pushed/source/upload/"
FILES = {"shop/Dockerfile": "FROM scratch\n", "shop/src/app.py": "print()\n"}


def archive(files: dict[str, str] | None = None, name: str = "shop.zip") -> SimpleUploadedFile:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as made:
        for path, text in (FILES if files is None else files).items():
            made.writestr(path, text)
    return SimpleUploadedFile(name, packed.getvalue())


def run_next() -> Deployment:
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    return Deployment.objects.get(pk=claimed.pk)


def files_of(app: App, target: Path) -> dict[str, str]:
    with kept(kept_path(app), branch="main", deadline=Deadline()) as repository:
        repository.checkout(repository.resolve("refs/heads/main"), target)
    return {str(p.relative_to(target)): p.read_text() for p in target.rglob("*") if p.is_file()}


@pytest.fixture
def inside(fake: FakeEngine, pushed: App, alice: User, client: Client) -> Client:
    client.force_login(alice)
    return client


def test_an_archive_becomes_a_commit_and_goes_live(
    inside: Client, pushed: App, tmp_path: Path
) -> None:
    answer = inside.post(HERE, {"archive": archive()})
    assert answer["Location"] == "/projects/shop/apps/pushed/deployments/1/"
    done = run_next()
    assert done.status == Status.LIVE and done.trigger == "upload"
    assert (done.commit_message, done.commit_author) == ("Upload of shop.zip", "Alice Archer")
    assert files_of(pushed, tmp_path / "x") == {
        "Dockerfile": "FROM scratch\n",
        "src/app.py": "print()\n",
    }
    assert list((kept_path(pushed).parent.parent / "incoming").iterdir()) == []


def test_the_next_archive_takes_the_place_of_everything(
    inside: Client, pushed: App, tmp_path: Path
) -> None:
    inside.post(HERE, {"archive": archive()})
    first = run_next()
    inside.post(HERE, {"archive": archive({"Dockerfile": "FROM busybox\n", ".gitignore": "*\n"})})
    second = run_next()
    assert set(files_of(pushed, tmp_path / "x")) == {"Dockerfile", ".gitignore"}
    with kept(kept_path(pushed), branch="main", deadline=Deadline()) as repository:
        assert repository.contains(second.commit, first.commit)


@pytest.mark.parametrize(
    ("sent", "words"),
    [
        ({}, "Choose an archive."),
        ({"archive": SimpleUploadedFile("x.zip", b"")}, "The archive is empty."),
        ({"archive": SimpleUploadedFile("x.zip", b"no archive at all")}, "The archive is damaged."),
        ({"archive": archive({"../x": ""})}, "leads out of the archive"),
        ({"archive": archive({})}, "There is no file in it"),
    ],
)
def test_what_cannot_be_deployed_is_said_on_the_page(
    inside: Client, sent: dict[str, Any], words: str
) -> None:
    answer = inside.post(HERE, sent)
    assert answer.status_code == 200 and words in answer.content.decode()
    assert not Deployment.objects.exists()


def test_an_archive_over_the_limit_is_refused(inside: Client, settings: Any) -> None:
    settings.MIST_UPLOAD_LIMIT_MB = 1
    large = SimpleUploadedFile("x.tar", os.urandom(upload_limit() + 1))
    assert "1 MB at most" in inside.post(HERE, {"archive": large}).content.decode()


def test_an_app_from_elsewhere_takes_no_archive(inside: Client, web: App) -> None:
    answer = inside.post("/projects/shop/apps/web/source/upload/", {"archive": archive()})
    assert answer["Location"] == "/projects/shop/apps/web/source/"
    assert not Deployment.objects.exists()


def test_the_pages_of_a_new_app_say_how_to_push(inside: Client, pushed: App) -> None:
    for path in ("", "source/"):
        page = inside.get(f"/projects/shop/apps/pushed/{path}").content.decode()
        assert "/git/shop/pushed.git" in page and "git push mist main" in page
        assert "/account/tokens/" in page
    assert 'enctype="multipart/form-data"' in page


def test_a_folder_of_the_server_is_deployed_without_what_it_ignores(
    fake: FakeEngine, pushed: App, tmp_path: Path
) -> None:
    folder = tmp_path / "my shop"
    for name, text in {
        "Dockerfile": "FROM scratch\n",
        ".gitignore": "secrets.env\nnode_modules/\n",
        "secrets.env": "KEY=1",
        "node_modules/a/b": "",
        ".git/config": "[core]\n",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    os.chmod(folder / "Dockerfile", 0o755)
    call_command("deploy", "shop/pushed", from_dir=str(folder))
    done = run_next()
    assert (done.status, done.commit_message) == (Status.LIVE, "Upload of my shop")
    assert done.trigger == "upload" and done.commit_author.endswith("on the server")
    assert set(files_of(pushed, tmp_path / "x")) == {"Dockerfile", ".gitignore"}
    assert os.access(tmp_path / "x" / "Dockerfile", os.X_OK)
    assert (folder / ".git").is_dir() and not (folder / ".git" / "index").exists()


def test_a_folder_that_cannot_be_deployed_is_a_sentence(
    fake: FakeEngine, pushed: App, web: App, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    nested = tmp_path / "nested" / "vendor" / "x"
    nested.mkdir(parents=True)
    who = ["-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run(["git", "init", "-q", nested], check=True)
    commit = ["git", "-C", str(nested), *who, "commit", "-q", "--allow-empty", "-m", "x"]
    subprocess.run(commit, check=True)
    cases = [
        ("shop/pushed", tmp_path / "nowhere", "There is no folder"),
        ("shop/pushed", tmp_path / "empty", "There is no file in it"),
        ("shop/pushed", tmp_path / "nested", "vendor/x is a Git repository of its own"),
        ("shop/web", tmp_path / "empty", "does not come from uploads"),
    ]
    for app, folder, words in cases:
        with pytest.raises(CommandError, match=words):
            call_command("deploy", app, from_dir=str(folder))
    assert not Deployment.objects.exists()
