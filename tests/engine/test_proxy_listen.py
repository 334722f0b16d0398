"""Where Traefik listens, whatever the settings say."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from apps.engine.data import EngineConfig
from apps.engine.errors import ProxyUnavailable
from apps.engine.labels import foreign_labels
from apps.engine.traefik import Traefik
from apps.engine.traefik_container import ContainerTraefik

BINDS = ["0.0.0.0", "::", "127.0.0.1", "192.0.2.7", "::1", "2001:db8::7"]


def addresses(text: str) -> dict[str, str]:
    """Entry point → where it listens."""
    section = text.partition("\nentryPoints:\n")[2].partition("\napi:\n")[0]
    return dict(re.findall(r'(?m)^  (\w+):\n(?:    [^a].*\n)*    address: "(.*)"$', section))


@pytest.mark.parametrize("bind", BINDS)
def test_its_inner_entry_points_are_for_this_machine_alone(tmp_path: Path, bind: str) -> None:
    config = EngineConfig(instance="0123abcd", data_dir=tmp_path, bind=bind)
    found = addresses(Traefik(config)._static_configuration())
    assert found.keys() == {"web", "websecure", "probe", "traefik"}
    assert (found["probe"], found["traefik"]) == ("127.0.0.1:8081", "127.0.0.1:8082")


@pytest.mark.parametrize("bind", BINDS)
@pytest.mark.parametrize("host", ["mist-proxy", "mist_proxy.internal", "172.20.0.5", "fd00::5"])
def test_in_a_container_they_are_for_one_network(tmp_path: Path, bind: str, host: str) -> None:
    config = EngineConfig(instance="0123abcd", data_dir=tmp_path, bind=bind, proxy_host=host)
    found = addresses(ContainerTraefik(config)._static_configuration())
    assert found.keys() == {"web", "websecure", "probe", "traefik", "dashboard"}
    inside = f"[{host}]" if ":" in host else host
    assert (found["probe"], found["traefik"]) == (f"{inside}:8081", f"{inside}:8082")


@pytest.mark.parametrize(
    "host",
    ["0.0.0.0", "::", "[::]", "0", "0.0", "00.0x0", "*", "::ffff:0.0.0.0", "224.0.0.1", " ", ":",
     "mist-proxy:80", 'a"\n  x: "', "a b", "ä"],
)  # fmt: skip
def test_no_setting_opens_them_to_everybody(tmp_path: Path, host: str) -> None:
    config = EngineConfig(instance="0123abcd", data_dir=tmp_path, proxy_host=host)
    with pytest.raises(ProxyUnavailable, match="MIST_PROXY_HOST"):
        ContainerTraefik(config)._static_configuration()


def test_the_public_ones_listen_where_they_are_told(tmp_path: Path) -> None:
    found = {
        bind: addresses(
            Traefik(
                EngineConfig(instance="0123abcd", data_dir=tmp_path, bind=bind)
            )._static_configuration()
        )["web"]
        for bind in BINDS
    }
    assert found == {
        "0.0.0.0": ":80",
        "::": ":80",
        "127.0.0.1": "127.0.0.1:80",
        "192.0.2.7": "192.0.2.7:80",
        "::1": "[::1]:80",
        "2001:db8::7": "[2001:db8::7]:80",
    }


def test_labels_that_an_image_brings_are_told_from_those_that_were_given() -> None:
    own = {"mist.instance": "0123abcd", "traefik.enable": "true"}
    found = own | {
        "maintainer": "me",
        "traefik.http.routers.x.service": "api@internal",
        "Traefik.HTTP.routers.x.rule": "Host(`a`)",
        "TRAEFIK.enable": "true",
        "traefikish": "1",
    }
    assert foreign_labels(found, own) == [
        "TRAEFIK.enable",
        "Traefik.HTTP.routers.x.rule",
        "traefik.http.routers.x.service",
    ]
