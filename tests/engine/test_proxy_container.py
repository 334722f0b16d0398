"""What a Traefik is told that compose runs as a container."""

from __future__ import annotations

from pathlib import Path

from apps.engine.data import EngineConfig
from apps.engine.traefik import Traefik
from apps.engine.traefik_container import ContainerTraefik


def test_what_is_for_mist_only_is_not_where_containers_of_projects_are(tmp_path: Path) -> None:
    config = EngineConfig(
        instance="0123abcd", data_dir=tmp_path, proxy_host="mist-proxy", dashboard_port=9000
    )
    text = ContainerTraefik(config)._static_configuration()
    assert 'address: "mist-proxy:8081"' in text
    assert 'address: "mist-proxy:8082"' in text
    assert 'address: ":9000"' in text
    assert f"|| Label(`mist.dashboard-of`, `{tmp_path}`)" in text


def test_one_that_mist_starts_itself_listens_for_it_on_this_machine_alone(tmp_path: Path) -> None:
    text = Traefik(EngineConfig(instance="0123abcd", data_dir=tmp_path))._static_configuration()
    assert 'address: "127.0.0.1:8081"' in text
    assert 'address: "127.0.0.1:8082"' in text
    assert "dashboard:\n" not in text
    assert 'constraints: "Label(`mist.instance`, `0123abcd`)"' in text
