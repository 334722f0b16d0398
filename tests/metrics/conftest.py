"""The real engine, as tests of deployments use it."""

from __future__ import annotations

from tests.deployments.conftest import world as world
