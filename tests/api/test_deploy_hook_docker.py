"""The deploy hook with the real engine: from a request of curl's kind to an app that answers."""

from __future__ import annotations

import json

import pytest

from apps.accounts.models import User
from apps.api.services import token_create
from apps.deployments import pipeline
from apps.deployments.tasks import claim_next
from tests.api.conftest import Program
from tests.deployments.conftest import world
from tests.machine.world import World

pytestmark = pytest.mark.docker
__all__ = ["world"]


def test_it_brings_a_repository_live(world: World) -> None:
    app, origin = world.app("static", health_path="/healthz")
    first = origin.commit({"site/index.html": "VERSION 7"}, "Version 7")
    origin.commit({"site/index.html": "VERSION 8"}, "Version 8")
    alice = User.objects.get()
    made = token_create(user=alice, name="CI", scopes=["deploy"], project=app.project)
    program = Program(made.token, made.secret)
    answer = program.post("/api/v1/apps/shop/static/deploy", {"commit": first})
    assert answer.status_code == 202, answer.content
    claimed = claim_next()
    assert claimed is not None
    pipeline.run(claimed)
    done = json.loads(program.get(answer["Location"]).content)
    assert (done["status"], done["commit"], done["failure"]) == ("live", first, None)
    status, body = world.get(app.host)
    assert status == 200 and "VERSION 7" in body
    assert made.secret not in json.dumps(done)
