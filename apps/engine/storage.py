"""What images, build cache and networks the engine keeps, and pruning the build cache.

Versions of the API differ in what they tell: from 1.42 on the engine can be asked for images and
build cache alone, without walking through every volume, which on 20.10 it always does. Pruning to a
budget is `keep-storage`, which 1.48 calls `reserved-space`; an engine asked in an older version of
the API, as Mist does, knows the old name.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import NotFound, create_api_error_from_http_exception

from apps.engine.disk import EngineDisk, StoredImage, StoredNetwork

ALONE_SINCE = (1, 42)
"""The version of the API that can leave volumes out of what it measures."""
ALONE = "1.44"
"""The newest whose answer has the fields that are read here: 1.52 has others."""
SECONDS = 300
"""An engine with much to measure, or to remove, takes its time."""


def measure(client: docker.DockerClient) -> EngineDisk:
    """What is there. Raises `APIError`."""
    found = _ask(client)
    cache = found.get("BuildCache") or []
    return EngineDisk(
        images=tuple(_image(image) for image in found.get("Images") or []),
        layers=max(0, int(found.get("LayersSize") or 0)),
        cache=sum(_size(part) for part in cache if not part.get("Shared")),
        cache_in_images=sum(_size(part) for part in cache if part.get("Shared")),
    )


def _ask(client: docker.DockerClient) -> Mapping[str, Any]:
    api = client.api
    newest = _numbers(client.version()["ApiVersion"])
    url = f"{api.base_url}/v{api.api_version}/system/df"
    if newest >= ALONE_SINCE:
        version = min(newest, _numbers(ALONE))
        url = f"{api.base_url}/v{version[0]}.{version[1]}/system/df?type=image&type=build-cache"
    return _answer(api.get(url, timeout=SECONDS))


def _answer(response: requests.Response) -> Mapping[str, Any]:
    try:
        response.raise_for_status()
    except requests.HTTPError as error:
        raise create_api_error_from_http_exception(error) from error
    found: Mapping[str, Any] = response.json()
    return found


def prune_cache(client: docker.DockerClient, keep: int) -> int:
    """Remove what was used longest ago until at most `keep` bytes of build cache are left that no
    image has. Returns the bytes freed. Raises `APIError`."""
    api = client.api
    # The SDK's own method has no timeout of its own. Nought would mean no budget: everything.
    answer = api.post(
        f"{api.base_url}/v{api.api_version}/build/prune",
        params={"keep-storage": max(0, keep)},
        timeout=SECONDS,
    )
    return int(_answer(answer).get("SpaceReclaimed") or 0)


def list_networks(client: docker.DockerClient, labels: Mapping[str, str]) -> list[StoredNetwork]:
    """Networks that carry every given label. Raises `APIError`."""
    wanted = {"label": _filters(labels)}
    networks = client.api.networks(filters=wanted)
    # Stopped containers are attached too, but the network itself does not list them.
    attached = {
        name
        for container in client.api.containers(all=True, filters=wanted)
        for name in (container.get("NetworkSettings", {}).get("Networks") or {})
    }
    return [
        StoredNetwork(
            name=network["Name"],
            is_used=network["Name"] in attached or _has_members(client, network["Id"]),
        )
        for network in networks
    ]


def _has_members(client: docker.DockerClient, network_id: str) -> bool:
    """Whether anything, also what carries no label of ours, runs in it."""
    try:
        return bool(client.api.inspect_network(network_id).get("Containers"))
    except NotFound:
        return False


def _image(found: Mapping[str, Any]) -> StoredImage:
    names = tuple(name for name in found.get("RepoTags") or () if name != "<none>:<none>")
    return StoredImage(
        id=found["Id"],
        names=names,
        labels=found.get("Labels") or {},
        size=_size(found),
        # -1 where the engine has not counted.
        shared=max(0, int(found.get("SharedSize") or 0)),
        is_used=int(found.get("Containers") or 0) > 0,
    )


def _size(found: Mapping[str, Any]) -> int:
    return max(0, int(found.get("Size") or 0))


def _numbers(version: str) -> tuple[int, int]:
    major, _, minor = version.partition(".")
    return int(major), int(minor)


def _filters(labels: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in labels.items()]
