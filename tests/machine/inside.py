"""Django in a test as a management command of a running Mist has it: its database, its engine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections
from django.test import override_settings

from apps.engine.connect import get_engine
from apps.engine.data import EngineConfig
from tests.machine.live import LiveMist


@contextmanager
def inside(mist: LiveMist) -> Iterator[None]:
    """Models, services and `get_engine` are those of that Mist meanwhile. The caller has unblocked
    the database."""
    folder, env = mist.data_dir, mist.env
    config = EngineConfig(
        instance=(folder / "instance").read_text().strip(),
        data_dir=folder,
        docker_host=env.get("DOCKER_HOST", ""),
        bind=env["MIST_BIND"],
        http_port=int(env["MIST_HTTP_PORT"]),
        https_port=int(env["MIST_HTTPS_PORT"]),
        probe_port=int(env["MIST_PROBE_PORT"]),
        proxy_api_port=int(env["MIST_PROXY_API_PORT"]),
        network_pool=env.get("MIST_NETWORK_POOL", EngineConfig.network_pool),
        git_localhost=True,
    )
    key = (folder / "secret.key").read_text().strip()
    database = connections.settings["default"]
    before = database["NAME"]
    connections["default"].close()
    get_engine.cache_clear()
    database["NAME"] = connections["default"].settings_dict["NAME"] = str(folder / "mist.db")
    try:
        with override_settings(
            MIST_DATA_DIR=folder,
            MIST_ENGINE="apps.engine.real",
            MIST_ENGINE_CONFIG=config,
            MIST_KEY_FILE=folder / "encryption.key",
            MIST_ENCRYPTION_KEYS=[],
            SECRET_KEY=key,
        ):
            yield
    finally:
        connections["default"].close()
        database["NAME"] = connections["default"].settings_dict["NAME"] = before
        get_engine.cache_clear()
