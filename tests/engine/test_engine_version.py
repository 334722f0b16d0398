"""Which version of its interface an engine is asked in."""

from __future__ import annotations

import docker
import pytest

from apps.engine.client import choose_version, make_client


@pytest.mark.parametrize(
    ("least", "spoken"), [("1.12", "1.41"), ("1.24", "1.41"), ("1.44", "1.44"), ("1.101", "1.101")]
)
def test_it_is_the_oldest_that_both_know(least: str, spoken: str) -> None:
    assert choose_version(least) == spoken


@pytest.mark.docker
def test_this_engine_understands_it() -> None:
    client = make_client("")
    try:
        assert client.ping() and client.api.api_version == choose_version(
            str(docker.from_env().version()["MinAPIVersion"])
        )
    finally:
        client.close()
