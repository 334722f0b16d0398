"""Who is at fault when a build ends, by what the client printed."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.engine.build_errors import BuildOutput
from apps.engine.data import BuildSpec
from apps.engine.errors import BuildFailed, EngineAway, EngineError

REFUSED = (
    'failed to do request: Head "https://registry.example/v2/library/busybox/manifests/latest": '
    "dial tcp: lookup registry.example on [::1]:53: read: connection refused"
)
NO_REGISTRY = f"""\
#3 [internal] load metadata for docker.io/library/busybox:latest
#3 ERROR: {REFUSED}
------
 > [internal] load metadata for docker.io/library/busybox:latest:
------
failed to solve with frontend dockerfile.v0: failed to create LLB definition: {REFUSED}"""
NO_ENGINE = """\
#5 [2/2] RUN sleep 60
failed to solve: rpc error: code = Unavailable desc = error reading from server: EOF"""


@pytest.mark.parametrize(
    ("printed", "kind", "words"),
    [
        pytest.param(NO_REGISTRY, BuildFailed, "image busybox:latest could not", id="registry"),
        pytest.param(NO_ENGINE, EngineAway, "engine went away", id="engine"),
    ],
)
def test_a_registry_that_refuses_is_no_engine_that_went_away(
    tmp_path: Path, printed: str, kind: type[EngineError], words: str
) -> None:
    spec = BuildSpec(context=tmp_path, dockerfile=tmp_path / "Dockerfile", image="mist/web:1")
    output = BuildOutput(spec)
    for line in printed.splitlines():
        output.add(line)
    failure = output.failure(1)
    assert isinstance(failure, kind) and words in failure.sentence
