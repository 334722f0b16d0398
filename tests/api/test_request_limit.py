"""How many requests a token may make, also over a restart."""

from __future__ import annotations

import datetime as dt

import pytest
import time_machine
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.models import User
from apps.api.limits import seconds_to_wait
from apps.api.models import ApiToken
from tests.api.conftest import MakeProgram, Program, problem

TOKEN = "/api/v1/token"


@pytest.fixture(autouse=True)
def _few(settings: Settings) -> None:
    settings.MIST_API_REQUESTS_PER_MINUTE = 6


def test_more_than_its_share_is_told_to_wait(program: Program) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        assert [program.get(TOKEN).status_code for _ in range(8)] == [200] * 6 + [429] * 2
        answer = program.get(TOKEN)
        assert answer["Retry-After"] == "10"
        assert "may come in 10 s" in problem(answer)["detail"]
        clock.shift(dt.timedelta(seconds=9))
        assert program.get(TOKEN)["Retry-After"] == "1"
        clock.shift(dt.timedelta(seconds=1))
        assert [program.get(TOKEN).status_code for _ in range(2)] == [200, 429]
        clock.shift(dt.timedelta(seconds=60))
        assert [program.get(TOKEN).status_code for _ in range(7)] == [200] * 6 + [429]


def test_it_is_counted_in_the_database_alone(program: Program) -> None:
    """Nothing that a process remembers: a fresh look at the row knows it."""
    with time_machine.travel(timezone.now(), tick=False):
        for _ in range(6):
            program.get(TOKEN)
        assert seconds_to_wait(ApiToken.objects.get()) == 10


def test_each_token_has_its_own_share(program_of: MakeProgram, alice: User) -> None:
    with time_machine.travel(timezone.now(), tick=False):
        for program in (program_of(alice), program_of(alice)):
            assert [program.get(TOKEN).status_code for _ in range(7)] == [200] * 6 + [429]
