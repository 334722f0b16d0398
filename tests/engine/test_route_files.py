"""Whether the files that Traefik reads are as they should be, all of them at one look."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from apps.engine.route_files import OLD_SECONDS, RouteFiles

BRACES = {"headers": {"customResponseHeaders": {"X-Template": '{{ env "HOME" }}'}}}
GUARD = {"basicAuth": {"users": ["eve:hash"], "realm": "Sign in"}}


def routes(app: str) -> dict[str, Any]:
    router = {"rule": f"Host(`{app}.example.com`)", "service": "s@docker"}
    middlewares = {f"app-{app}-headers": BRACES, f"app-{app}-users": GUARD}
    return {"http": {"routers": {f"app-{app}": router}, "middlewares": middlewares}}


WANTED: dict[str, dict[str, Any]] = {"1": routes("1"), "11": routes("11"), "2": {}}


@pytest.fixture
def files(tmp_path: Path) -> RouteFiles:
    made = RouteFiles(tmp_path)
    put_right(made)
    return made


def put_right(files: RouteFiles) -> None:
    for app, wanted in WANTED.items():
        files.write(app, wanted) if wanted else files.remove(app)


def passwords(home: Path, app: str) -> Path:
    [found] = (home / "passwords").glob(f"{app}-*")
    return found


def rewrite(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def leave(path: Path, age: float) -> None:
    path.write_text("bob:hash\n")
    made = time.time() - age
    os.utime(path, (made, made))


def test_what_is_as_it_should_be_is_not_named(files: RouteFiles) -> None:
    assert files.drifted(WANTED) == set()


def test_looking_changes_nothing(files: RouteFiles, tmp_path: Path) -> None:
    for path in tmp_path.rglob("*-*"):
        path.unlink()
    before = sorted(tmp_path.rglob("*"))
    assert files.drifted(WANTED) == {"1", "11"}
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize(
    ("drift", "app"),
    [
        (lambda home: (home / "dynamic" / "app-1.yml").unlink(), "1"),
        (lambda home: rewrite(home / "dynamic" / "app-1.yml", "1.example", "2.example"), "1"),
        # The same JSON, which is a template to Traefik.
        (lambda home: rewrite(home / "dynamic" / "app-11.yml", "{\\u007b", "{{"), "11"),
        (lambda home: (home / "dynamic" / "app-1.yml").write_bytes(b"\xff"), "1"),
        (lambda home: (home / "dynamic" / "app-2.yml").write_text("{}"), "2"),
        (lambda home: (home / "dynamic" / "app-2.yml").symlink_to("nowhere"), "2"),
        (lambda home: passwords(home, "11").unlink(), "11"),
        (lambda home: rewrite(passwords(home, "11"), "eve", "mallory"), "11"),
        (lambda home: leave(home / "passwords" / "1-old", OLD_SECONDS + 9), "1"),
        (lambda home: leave(home / "passwords" / "2-old", 0), "2"),
    ],
)
def test_what_is_another_is_named_and_right_after_it_is_written(
    files: RouteFiles, tmp_path: Path, drift: Callable[[Path], object], app: str
) -> None:
    drift(tmp_path)
    assert files.drifted(WANTED) == {app}
    put_right(files)
    assert files.drifted(WANTED) == set()


def test_passwords_that_traefik_may_still_read_are_left(files: RouteFiles, tmp_path: Path) -> None:
    leave(tmp_path / "passwords" / "1-old", 0)
    assert files.drifted(WANTED) == set()


def test_no_folder_is_no_file(tmp_path: Path) -> None:
    assert RouteFiles(tmp_path / "none").drifted(WANTED) == {"1", "11"}
