"""Hand out the one engine of this process."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import cast

from django.conf import settings

from apps.engine.base import Engine
from apps.engine.name_facts import NameFacts, Server
from apps.engine.once import once


@once
def get_engine() -> Engine:
    """The engine that `settings.MIST_ENGINE` names, made at first use. There is one in a process:
    what one thread holds of Traefik's ports another hands on.

    The module is imported by name because the real one brings in docker and GitPython, which an
    idle Mist does not need.
    """
    module = importlib.import_module(settings.MIST_ENGINE)
    return cast(Engine, module.make_engine(settings.MIST_ENGINE_CONFIG))


def look_up_name(host: str, servers: Sequence[Server] = ()) -> NameFacts:
    """`name_lookup.look_up`, of this machine's own DNS servers unless others are given. The module
    is imported at first use: it brings 5 MiB that a Mist without names does not need."""
    module = importlib.import_module("apps.engine.name_lookup")
    return cast(NameFacts, module.look_up(host, list(servers) or module.system_servers()))
