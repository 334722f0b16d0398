"""Requests that are sent again with the same key: done once."""

from __future__ import annotations

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import time_machine
from django.db import connection
from django.utils import timezone

from apps.accounts.models import User
from apps.api.models import KeptAnswer
from apps.deployments.models import Deployment
from apps.projects.models import App
from tests.api.conftest import DEPLOY, MakeProgram, Program, problem

DEPLOYMENTS = "/api/v1/apps/shop/web/deployments"


def test_a_retry_with_the_same_key_does_not_deploy_twice(program: Program, web: App) -> None:
    first = program.post(DEPLOY, {"ref": "v1"}, Idempotency_Key='"8e03978e-40d5"')
    again = program.post(DEPLOY, {"ref": "v1"}, Idempotency_Key='"8e03978e-40d5"')
    bare = program.post(DEPLOY, {"ref": "v1"}, Idempotency_Key="8e03978e-40d5")
    assert first.status_code == again.status_code == bare.status_code == 202
    assert first.content == again.content == bare.content
    assert first["Location"] == again["Location"]
    assert "Idempotent-Replayed" not in first and again["Idempotent-Replayed"] == "true"
    assert Deployment.objects.count() == 1
    program.post(DEPLOY, {"ref": "v1"}, Idempotency_Key="another")
    program.post(DEPLOY, {"ref": "v1"})
    assert Deployment.objects.count() == 3


@pytest.mark.django_db(transaction=True)
def test_retries_at_the_same_moment_deploy_once(program: Program, web: App) -> None:
    def ask(_: int) -> tuple[int, str]:
        try:
            answer = Program(program.token, program.secret).post(DEPLOY, Idempotency_Key="k")
            return answer.status_code, answer["Location"]
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as threads:
        answers = set(threads.map(ask, range(8)))
    assert answers == {(202, f"{DEPLOYMENTS}/1")}
    assert Deployment.objects.count() == 1


def test_the_same_key_for_something_else_is_refused(program: Program, web: App) -> None:
    program.post(DEPLOY, {"ref": "v1"}, Idempotency_Key="k")
    answer = program.post(DEPLOY, {"ref": "v2"}, Idempotency_Key="k")
    assert answer.status_code == 422 and problem(answer)["type"].endswith("/key-reused")
    assert Deployment.objects.count() == 1


def test_keys_are_a_tokens_own(program_of: MakeProgram, alice: User, web: App) -> None:
    for program in (program_of(alice), program_of(alice)):
        assert program.post(DEPLOY, Idempotency_Key="k").status_code == 202
    assert Deployment.objects.count() == 2


def test_a_key_is_kept_for_a_day(program: Program, web: App) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        program.post(DEPLOY, Idempotency_Key="k")
        clock.shift(dt.timedelta(hours=24, seconds=-1))
        program.post(DEPLOY, Idempotency_Key="k")
        assert Deployment.objects.count() == 1
        clock.shift(dt.timedelta(seconds=1))
        program.post(DEPLOY, Idempotency_Key="k")
    assert Deployment.objects.count() == 2
    assert KeptAnswer.objects.count() == 1


def test_what_was_refused_may_be_tried_again(program: Program, web: App) -> None:
    assert program.post(DEPLOY, {"ref": "a b"}, Idempotency_Key="k").status_code == 422
    assert program.post(DEPLOY, {"ref": "ab"}, Idempotency_Key="k").status_code == 202
    path = f"{DEPLOYMENTS}/1/rollback"
    assert program.post(path, Idempotency_Key="other").status_code == 409
    assert KeptAnswer.objects.count() == 1


def test_a_retry_still_needs_the_right(program: Program, web: App, alice: User) -> None:
    program.post(DEPLOY, Idempotency_Key="k")
    User.objects.filter(pk=alice.pk).update(role="member")
    assert program.post(DEPLOY, Idempotency_Key="k").status_code == 404


@pytest.mark.parametrize("key", ["", '""', '"a', "a b", '"\\x"', "x" * 201, '"ü"', "a;b=c"])
def test_a_key_that_is_none_is_refused(program: Program, web: App, key: str) -> None:
    answer = program.post(DEPLOY, Idempotency_Key=key)
    assert answer.status_code == 400 and problem(answer)["type"].endswith("/invalid-key")
    assert not Deployment.objects.exists()
