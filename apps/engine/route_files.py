"""The files that Traefik reads its routes from: one for each app, and one that all lean on."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from apps.engine.dynamic_file import file_text
from apps.engine.errors import MAKE_ROOM, OutOfDisk

DASHBOARD = "mist-dashboard"
"""The file that leads to Mist's own pages, without its ending."""
OLD_SECONDS = 60.0
"""For so long a file of passwords is kept that its route no longer names: Traefik may read it."""


class RouteFiles:
    """Those in the folder `home`, in which Traefik watches `dynamic`.

    Hashes of passwords have files of their own, since Traefik's API shows everybody on this machine
    all of its configuration. Such a file is called by what is in it: whoever changes it is seen.
    """

    def __init__(self, home: Path) -> None:
        self.dynamic = home / "dynamic"
        self._new = home / "new"
        self._passwords = home / "passwords"

    def write(self, app: str, routes: Mapping[str, Any]) -> None:
        """Raises `OutOfDisk`; what was there stays whole then."""
        path = self._path(app)
        text, passwords = routes_text(routes, start=self._passwords / app)
        try:
            for file, content in (passwords | {path: text}).items():
                if not _is(file, content):
                    self._put(file, content)
            self._forget_passwords(app, but=passwords)
        except OSError as error:
            raise OutOfDisk(
                f"The route could not be written: {error.strerror}.",
                hint=MAKE_ROOM.format(again="try again"),
            ) from error

    def write_shared(self, name: str, routes: Mapping[str, Any]) -> None:
        """What is of no app: what the apps' files refer to, and the dashboard's route."""
        text, _ = routes_text(routes, start=self._passwords / name)
        path = self.dynamic / f"{name}.yml"
        if not _is(path, text):
            self._put(path, text)

    def remove_shared(self, name: str) -> None:
        (self.dynamic / f"{name}.yml").unlink(missing_ok=True)

    def read(self, app: str) -> Mapping[str, Any] | None:
        """What Traefik reads."""
        try:
            found = json.loads(self._path(app).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return found if isinstance(found, dict) else None

    def remove(self, app: str) -> None:
        self._path(app).unlink(missing_ok=True)
        self._forget_passwords(app, but={}, age=0.0)

    def drifted(self, wanted: Mapping[str, Mapping[str, Any]]) -> set[str]:
        """Those of these apps for which `write`, or `remove` where it is an empty one that is
        wanted, would change something."""
        passwords = defaultdict[str, list[Path]](list)
        for file in self._passwords.glob("*-*"):
            passwords[file.name.partition("-")[0]].append(file)
        return {
            app for app, routes in wanted.items() if not self._is_as(app, routes, passwords[app])
        }

    def _is_as(self, app: str, routes: Mapping[str, Any], there: Sequence[Path]) -> bool:
        path = self._path(app)
        if not routes:
            return not there and not os.path.lexists(path)
        text, passwords = routes_text(routes, start=self._passwords / app)
        is_so = all(_is(file, content) for file, content in {path: text, **passwords}.items())
        return is_so and not any(_is_old(file) for file in there if file not in passwords)

    def apps(self) -> Sequence[str]:
        found = (path.stem for path in self.dynamic.glob("app-*.yml"))
        return [name for stem in found if (name := stem.removeprefix("app-")).isalnum()]

    def _path(self, app: str) -> Path:
        if not app.isalnum():
            raise ValueError(f"Not an app's key: {app!r}")
        return self.dynamic / f"app-{app}.yml"

    def _put(self, target: Path, text: str) -> None:
        """Traefik watches the folder, so the file appears there whole or not at all."""
        for folder in (self._new, target.parent):
            folder.mkdir(parents=True, exist_ok=True)
        mode = 0o600 if target.parent == self._passwords else 0o666
        fresh = self._new / target.name
        fresh.unlink(missing_ok=True)
        handle = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(fresh, target)

    def _forget_passwords(
        self, app: str, *, but: Mapping[Path, str], age: float = OLD_SECONDS
    ) -> None:
        for file in self._passwords.glob(f"{app}-*"):
            if file not in but and _is_old(file, age):
                file.unlink(missing_ok=True)


def _is(file: Path, content: str) -> bool:
    try:
        return file.read_bytes() == content.encode()
    except OSError:
        return False


def _is_old(file: Path, age: float = OLD_SECONDS) -> bool:
    try:
        return time.time() - file.stat().st_mtime >= age
    except FileNotFoundError:
        return False


def routes_text(routes: Mapping[str, Any], *, start: Path) -> tuple[str, dict[Path, str]]:
    """What Traefik is to read, and the files of passwords that it names there, whose paths begin
    with `start`."""
    http, files = dict(routes.get("http", {})), dict[Path, str]()
    middlewares = dict(http.get("middlewares", {}))
    for name, middleware in middlewares.items():
        if "users" in middleware.get("basicAuth", {}):
            asks = dict(middleware["basicAuth"])
            users = "".join(f"{user}\n" for user in asks.pop("users"))
            digest = hashlib.sha256(users.encode()).hexdigest()[:32]
            path = start.with_name(f"{start.name}-{digest}")
            middlewares[name] = middleware | {"basicAuth": asks | {"usersFile": str(path)}}
            files[path] = users
    if files:
        routes = {**routes, "http": http | {"middlewares": middlewares}}
    return file_text(routes), files
