"""What is asked of engines of different age, and what is made of their answers."""

from __future__ import annotations

import json
from typing import Any, cast

import docker
import pytest
import requests

from apps.engine.disk import EngineDisk, StoredImage
from apps.engine.storage import measure, prune_cache

ANSWER = {
    "LayersSize": 300,
    "Images": [
        {
            "Id": "sha256:1",
            "RepoTags": ["mist/web:1"],
            "Labels": {"a": "b"},
            "Size": 200,
            "SharedSize": 150,
            "Containers": 1,
        },
        # A dangling one, of an engine that has not counted what is shared.
        {"Id": "sha256:2", "RepoTags": None, "Labels": None, "Size": 90, "SharedSize": -1},
        {"Id": "sha256:3", "RepoTags": ["<none>:<none>"], "Size": 10, "Containers": -1},
    ],
    "BuildCache": [{"Size": 5, "Shared": False}, {"Size": 7, "Shared": True}],
}


class Client:
    """Answers as an engine of that version of the API does."""

    def __init__(self, version: str) -> None:
        self.api = self
        self.base_url, self.api_version = "http://engine", "1.41"
        self.asked: list[tuple[str, Any]] = []
        self._version = version

    def version(self) -> dict[str, str]:
        return {"ApiVersion": self._version}

    def get(self, url: str, **more: Any) -> requests.Response:
        return self._answer(url, None, ANSWER)

    def post(self, url: str, *, params: Any, **more: Any) -> requests.Response:
        return self._answer(url, params, {"CachesDeleted": None, "SpaceReclaimed": 12})

    def _answer(self, url: str, params: Any, body: Any) -> requests.Response:
        self.asked.append((url, params))
        made = requests.Response()
        made.status_code, made._content = 200, json.dumps(body).encode()
        return made


@pytest.mark.parametrize(
    ("version", "asked"),
    [
        ("1.41", "http://engine/v1.41/system/df"),
        ("1.42", "http://engine/v1.42/system/df?type=image&type=build-cache"),
        ("1.52", "http://engine/v1.44/system/df?type=image&type=build-cache"),
    ],
)
def test_volumes_are_left_out_where_the_engine_can(version: str, asked: str) -> None:
    client = Client(version)
    found = measure(cast(docker.DockerClient, client))
    assert client.asked == [(asked, None)]
    assert found == EngineDisk(
        images=(
            StoredImage("sha256:1", ("mist/web:1",), {"a": "b"}, 200, 150, is_used=True),
            StoredImage("sha256:2", size=90),
            StoredImage("sha256:3", size=10),
        ),
        layers=300,
        cache=5,
        cache_in_images=7,
    )
    assert found.total == 305


def test_the_cache_is_pruned_to_what_is_left() -> None:
    client = Client("1.48")
    assert prune_cache(cast(docker.DockerClient, client), 1000) == 12
    assert client.asked == [("http://engine/v1.41/build/prune", {"keep-storage": 1000})]
