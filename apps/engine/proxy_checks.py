"""What `./mist doctor` looks at in Traefik, each answer a sentence."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence

from apps.engine.base import Containers, Engine
from apps.engine.data import Container, ContainerStatus, EngineInfo
from apps.engine.errors import EngineError
from apps.engine.host import Check
from apps.engine.proxy import Proxy
from apps.engine.proxy_state import ProxyState, RouteProblem, route_problems

Version = tuple[int, ...]
NEGOTIATES = (3, 6, 1)
"""From here on Traefik speaks what the engine does. Those before fail with Docker 29."""
SPOKEN: tuple[tuple[Version, Version, Version | None], ...] = (
    ((3, 7, 15), (1, 40), None),
    ((3, 7), (1, 40), (1, 54)),
    (NEGOTIATES, (1, 24), (1, 51)),
    ((0,), (1, 24), (1, 24)),
)
"""From which version on Traefik speaks which versions of the engine's API: measured with 3.6.0,
3.6.2, 3.7.0 and 3.7.15, which ends at 1.56. A newer one may know more."""
KNOWN_GOOD = ((3, 7, 12), (4,))
"""From, and below."""
AGAIN_SECONDS = 1.0
MOST = 5
CONNECT_SECONDS = 2.0


def proxy_checks(engine: Engine) -> Iterator[Check]:
    """All of them, of a Traefik that runs."""
    in_container = bool(engine.config.proxy_host)
    anew = "Run ./mist down --proxy, then ./mist up: apps do not answer in between."
    current = "Run ./mist down, then ./mist up: apps keep answering."
    if in_container:
        anew, current = "Run docker compose restart traefik.", "Run docker compose up --detach."
    try:
        state = engine.proxy.state()
    except EngineError as error:
        yield Check("Traefik's API", False, error.sentence, anew)
        return
    yield check_version(state.version, in_container=in_container)
    yield check_pairing(state.version, engine.containers)
    yield check_static(state, current)
    containers = running_apps(engine)
    yield from check_routes(engine.proxy, state, containers, anew)
    yield check_entry_points(engine.proxy.entry_points(), anew)
    yield check_reach(engine.proxy, containers)


def numbers(text: str) -> Version:
    """`v3.7.15-rc1` as (3, 7, 15); () for what is no version."""
    match = re.match(r"v?(\d+(?:\.\d+)*)", text)
    return tuple(int(part) for part in match[1].split(".")) if match else ()


def check_version(version: str, *, in_container: bool) -> Check:
    name, found = "Traefik's version", numbers(version)
    hint = (
        "Set MIST_TRAEFIK_IMAGE=traefik:v3.7.15, then run docker compose up --detach."
        if in_container
        else "Run ./mist down --proxy, then ./mist up: it starts the one that Mist is made for."
    )
    if not found:
        return Check(name, False, f"not known ({version or 'it does not say'})", hint, needed=False)
    if found < NEGOTIATES:
        return Check(name, False, f"{version} is too old: it fails with Docker 29", hint)
    if found < KNOWN_GOOD[0]:
        return Check(name, False, f"{version} is older than Mist is made for (3.7.12)", hint, False)
    if found >= KNOWN_GOOD[1]:
        return Check(name, False, f"{version} is newer than Mist knows (3.7)", hint, needed=False)
    return Check(name, True, version)


def check_pairing(version: str, containers: Containers) -> Check:
    """Whether Traefik and the engine have a version of the engine's API in common."""
    name = "Traefik and the engine"
    try:
        engine = containers.info()
    except EngineError as error:
        return Check(name, False, f"not known: {error.sentence}", error.hint, needed=False)
    if not numbers(version):
        return Check(name, True, "not known, for Traefik's version is not", needed=False)
    low, high = spoken(numbers(version))
    spoken_words = f"{_dotted(low)} to {_dotted(high)}" if high else f"{_dotted(low)} and newer"
    if low == high:
        spoken_words = _dotted(low)
    says = f"Docker {engine.version} speaks API {_range(engine)}, Traefik {version} {spoken_words}"
    newest, oldest = numbers(engine.api_version), numbers(engine.oldest_api) or (1, 0)
    if newest < low:
        hint = "Install a newer Docker engine: Traefik sees no container of this one."
        return Check(name, False, says, hint)
    if high is not None and oldest > high:
        hint = "Install a newer Traefik (3.7): this one sees no container of such an engine."
        return Check(name, False, says, hint)
    return Check(name, True, says)


def spoken(version: Version) -> tuple[Version, Version | None]:
    """The oldest and newest version of the engine's API that such a Traefik speaks."""
    return next((low, high) for since, low, high in SPOKEN if version >= since)


def check_static(state: ProxyState, hint: str) -> Check:
    name = "Traefik's configuration"
    if not state.is_current:
        return Check(name, False, "not what the settings of this Mist ask for", hint)
    return Check(name, True, "as this Mist writes it")


def running_apps(engine: Engine) -> list[Container]:
    """Containers that Traefik has to know; none where the engine does not answer."""
    try:
        found = engine.containers.list(labels={"mist.instance": engine.config.instance})
    except EngineError:
        return []
    return [one for one in found if one.status is ContainerStatus.RUNNING]


def check_routes(
    proxy: Proxy, state: ProxyState, containers: Sequence[Container], anew: str
) -> Iterator[Check]:
    """What is wrong is looked at twice: a change that was made just now needs a moment. `anew` says
    how Traefik is restarted."""
    problems = route_problems(state, containers)
    if problems:
        time.sleep(AGAIN_SECONDS)
        state = proxy.state()
        again = route_problems(state, containers)
        problems = [one for one in problems if one in again]
    names = {one.labels.get("mist.app"): one.labels.get("mist.name") for one in containers}
    grave = [one for one in problems if one.needed]
    name = "Traefik's routes"
    if grave:
        hint = f"Restart the apps that are named. For what stays: {anew}"
        yield Check(name, False, _listed(grave, names), hint)
    else:
        routers = sum(one.endswith("@file") for one in state.routers)
        yield Check(name, True, f"{routers} in {len(state.files)} files, all taken up")
    if idle := [one for one in problems if not one.needed]:
        hint = "Look at the pages of these apps: visitors find nothing until they run."
        yield Check("Routes to nowhere", False, _listed(idle, names), hint, needed=False)


def _listed(problems: Sequence[RouteProblem], names: Mapping[str | None, str | None]) -> str:
    said = [
        f"{names.get(one.app) or f'app {one.app}'} {one.says}" if one.app else one.says
        for one in problems
    ]
    rest = len(said) - MOST
    return "; ".join(said[:MOST]) + (f"; and {rest} more" if rest > 0 else "")


def check_entry_points(found: Mapping[str, str], hint: str) -> Check:
    name = "Traefik's entry points"
    if silent := [f"{one}: {why}" for one, why in found.items() if why]:
        return Check(name, False, "; ".join(silent), hint)
    return Check(name, True, f"{', '.join(found)}: all answer")


def check_reach(proxy: Proxy, containers: Iterable[Container]) -> Check:
    """Whether the proxy gets through to the network of every project: one container stands for all
    in it. One that refuses was reached."""
    name, reached, lost = "Traefik and apps", 0, []
    for network, container in {
        network: one for one in containers for network in one.addresses
    }.items():
        port = _port(container)
        if port is None:
            continue
        try:
            why = proxy.connect(
                address=container.addresses[network], port=port, timeout=CONNECT_SECONDS
            )
        except EngineError as error:
            return Check(name, False, f"not known: {error.sentence}", error.hint, needed=False)
        if why.startswith("no connection"):
            who = container.labels.get("mist.name") or container.name
            lost.append(f"{who} at {container.addresses[network]}:{port} ({why})")
        else:
            reached += 1
    if lost:
        hint = "Look for a firewall that keeps the machine from its own Docker networks."
        return Check(name, False, f"not reached: {'; '.join(lost[:MOST])}", hint)
    if not reached:
        return Check(name, True, "no app runs that could be reached")
    return Check(name, True, f"apps of {reached} project{'s' * (reached > 1)} are reached")


def _port(container: Container) -> int | None:
    for name, value in container.labels.items():
        if re.fullmatch(r"traefik\.http\.services\..+\.loadbalancer\.server\.port", name):
            return int(value) if value.isdigit() else None
    return None


def _range(engine: EngineInfo) -> str:
    oldest = f"{engine.oldest_api} to " if engine.oldest_api else ""
    return f"{oldest}{engine.api_version}"


def _dotted(version: Version | None) -> str:
    return ".".join(map(str, version or ()))
