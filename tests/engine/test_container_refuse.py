"""Why the engine started no container, told by its own words."""

from __future__ import annotations

import pytest
from docker.errors import APIError

from apps.engine.creation import start_failed
from apps.engine.one_off import not_started

NO_PARSER = (
    "AppArmor enabled on system but the docker-default profile could not be loaded: running "
    "`apparmor_parser apparmor_parser --version` failed with output: error: exec: "
    '"apparmor_parser": executable file not found in $PATH'
)
NO_COMMAND = 'exec: "serve": executable file not found in $PATH: unknown'


@pytest.mark.parametrize("why", [start_failed, not_started])
def test_what_is_missing_on_the_server_is_not_said_of_the_image(why: object) -> None:
    assert callable(why)
    failed = why(APIError("500", explanation=NO_PARSER))
    assert "AppArmor" in failed.sentence and "package apparmor" in failed.hint
    assert failed.detail == NO_PARSER
    assert "image" in why(APIError("500", explanation=NO_COMMAND)).sentence
