"""What Traefik says that it does, against the files that say what it should do."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apps.engine.data import Container
from apps.engine.labels import probe_router

_OF_APP = re.compile(r"app-([0-9a-z]+)(?:-.*)?")
_WORDS = (
    (r'the service "(.+)@docker" does not exist', "its container does not run"),
    (r'middleware "(.+?)(?:@file)?" does not exist', "a part of it is missing: {}"),
    (r"error while parsing rule .*", "its host names or paths make no rule"),
    (r'entryPoint "(.+)" doesn\'t exist', "Traefik runs without the entry point {}"),
    (r"(?:.*: )?unknown TLS options: (.+)", "its TLS options are missing: {}"),
)
_FOLLOWS = "no valid entryPoint for this router"
"""What Traefik says besides when an entry point does not exist."""


@dataclass(frozen=True)
class ProxyState:
    version: str
    is_current: bool
    """Whether it runs with the static configuration that this Mist would write."""
    files: Mapping[str, Mapping[str, Any] | None]
    """Name of each dynamic file, without its ending, → what it holds; None where that cannot be
    read."""
    routers: Mapping[str, Mapping[str, Any]]
    """Name with provider, as `app-7@file` → what Traefik's API says of it."""


@dataclass(frozen=True)
class RouteProblem:
    says: str
    """After the name of whom it concerns: `is not taken up`."""
    app: str = ""
    """The app's key; empty where it concerns none."""
    needed: bool = True
    """False where Traefik does what it can: there is no container to lead to."""


def read_files(folder: Path) -> dict[str, Mapping[str, Any] | None]:
    """All dynamic files as `ProxyState` has them."""
    found: dict[str, Mapping[str, Any] | None] = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            content = json.loads(path.read_text("utf-8"))
        except FileNotFoundError:
            continue  # gone a moment ago
        except (OSError, ValueError):
            content = None
        found[path.stem] = content if isinstance(content, dict) else None
    return found


def route_problems(state: ProxyState, containers: Iterable[Container]) -> list[RouteProblem]:
    """Everything in which Traefik differs from what the files and the running `containers` of this
    Mist say, and every router that it could not make."""
    found: list[RouteProblem] = []
    expected: dict[str, Mapping[str, Any]] = {}
    for name, content in state.files.items():
        if content is not None:
            expected |= content.get("http", {}).get("routers", {})
        elif of_app := _OF_APP.fullmatch(name):
            found.append(RouteProblem("has a file that cannot be read", of_app[1]))
    found += [one for name, router in expected.items() for one in _differences(name, router, state)]
    found += _strays(state, expected)
    for container in containers:
        name = probe_router(container.labels)
        if name and f"{name}@docker" not in state.routers:
            app = container.labels.get("mist.app", "")
            found.append(RouteProblem(f"runs in {container.name}, which Traefik does not see", app))
    return found


def _differences(name: str, router: Mapping[str, Any], state: ProxyState) -> Iterable[RouteProblem]:
    of_app = _OF_APP.fullmatch(name)
    app = of_app[1] if of_app else ""
    taken_up = state.routers.get(f"{name}@file")
    if taken_up is None:
        yield RouteProblem(f"has a route that Traefik has not taken up: {name}", app)
        return
    if any(taken_up.get(key) != router.get(key) for key in ("rule", "service")):
        yield RouteProblem(f"has a route that Traefik knows as it was before: {name}", app)
    for error in taken_up.get("error") or ():
        if error != _FOLLOWS:
            runs = not re.fullmatch(_WORDS[0][0], error)
            yield RouteProblem(f"has a route that leads nowhere, {in_words(error)}", app, runs)


def _strays(state: ProxyState, expected: Mapping[str, object]) -> Iterable[RouteProblem]:
    """Routers that nobody asked for."""
    for name, router in state.routers.items():
        bare, _, provider = name.rpartition("@")
        of_app = _OF_APP.fullmatch(bare)
        if provider == "file" and of_app and bare not in expected:
            yield RouteProblem(f"has a route in Traefik that no file has: {bare}", of_app[1])
        elif provider == "docker" and not {"probe", "dashboard"}.issuperset(
            router.get("entryPoints") or [""]
        ):
            yield RouteProblem(f"a container's labels lead visitors by a rule of their own: {bare}")


def in_words(error: str) -> str:
    """An error of Traefik's about a router, for a person."""
    for pattern, words in _WORDS:
        if match := re.fullmatch(pattern, error):
            return words.format(*match.groups())
    return error
