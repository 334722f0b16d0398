"""Hand out the one engine of this process."""

from __future__ import annotations

import functools
import importlib
from typing import cast

from django.conf import settings

from apps.engine.base import Engine


@functools.cache
def get_engine() -> Engine:
    """The engine that `settings.MIST_ENGINE` names, made at first use.

    The module is imported by name because the real one brings in docker and GitPython, which an
    idle Mist does not need.
    """
    module = importlib.import_module(settings.MIST_ENGINE)
    return cast(Engine, module.make_engine(settings.MIST_ENGINE_CONFIG))
