"""What Mist asks of GitHub, of a server that judges as GitHub does."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import time_machine

from apps.engine.egress import Rules
from apps.engine.github import GitHub, convert_manifest
from apps.engine.github_answers import next_path
from apps.engine.github_errors import (
    GitHubAway,
    GitHubGone,
    GitHubKeyRefused,
    GitHubLimited,
    GitHubMoved,
    GitHubRefused,
    GitHubSuspended,
)
from apps.engine.github_facts import Repository
from apps.engine.github_http import ANSWER_MAX, Asker
from apps.engine.github_key import AppKey, app_token
from apps.engine.github_tokens import LEFT
from tests.github.api import APP_ID, GitHubHost, Said, app_pem

RULES = Rules(localhost=True)
SHA = "a" * 40


@dataclass
class Pauses:
    """Nobody waits: how long they would have."""

    seconds: list[float] = field(default_factory=list)

    def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest.fixture
def github(github_host: GitHubHost, pauses: Pauses) -> Iterator[GitHub]:
    github_host.install(1, "halden")
    yield GitHub(key_of(github_host), RULES, patience=20.0, pause=pauses)


def key_of(host: GitHubHost) -> AppKey:
    return AppKey(host.api_url, APP_ID, app_pem())


def test_a_long_list_is_read_to_its_end(github: GitHub, github_host: GitHubHost) -> None:
    for number in range(250):
        github_host.repository(1, number + 1, f"halden/service-{number:03}")
    found = github.repositories(1)
    assert [one.full_name for one in found] == [f"halden/service-{n:03}" for n in range(250)]
    assert github_host.count("GET", "/installation/repositories") == 3


def test_what_has_not_changed_is_not_sent_again(github: GitHub, github_host: GitHubHost) -> None:
    for number in range(150):
        github_host.repository(1, number + 1, f"halden/service-{number:03}")
    first = github.repositories(1)
    github_host.asked.clear()
    assert github.repositories(1) == first
    assert [status for *_, status in github_host.asked] == [304, 304]
    github_host.repository(1, 999, "halden/zebra")
    assert github.repositories(1)[-1].full_name == "halden/zebra"


def test_branches_come_with_the_default_one_first(github: GitHub, github_host: GitHubHost) -> None:
    names = [f"feature-{n:03}" for n in range(120)]
    github_host.repository(1, 7, "halden/web", "trunk", *names)
    found = github.branches(1, Repository(7, "halden/web", "trunk", True))
    assert found == ["trunk", *names]


def test_installations_are_listed_with_those_suspended(
    github: GitHub, github_host: GitHubHost
) -> None:
    github_host.install(2, "other", suspended_at="2026-01-02T03:04:05Z")
    halden, other = github.installations()
    assert (halden.id, halden.account, halden.suspended_at) == (1, "halden", None)
    assert other.suspended_at == dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def test_a_token_may_do_as_little_as_it_is_for(github: GitHub, github_host: GitHubHost) -> None:
    github_host.repository(1, 7, "halden/web")
    github_host.repository(1, 8, "halden/secret")
    github.clone_token(1, 7)
    github.reporter(1, 7)
    clone, report = github_host.tokens.values()
    assert (clone.permissions, clone.repositories) == (
        {"contents": "read", "metadata": "read"},
        [7],
    )
    assert report.permissions == {"deployments": "write", "metadata": "read", "statuses": "write"}
    assert report.repositories == [7]


def test_a_token_is_used_until_shortly_before_its_end(
    github: GitHub, github_host: GitHubHost
) -> None:
    github_host.repository(1, 7, "halden/web")
    with time_machine.travel(time.time(), tick=False) as clock:
        first = github.clone_token(1, 7)
        clock.shift(dt.timedelta(minutes=44))
        assert github.clone_token(1, 7) == first
        clock.shift(dt.timedelta(minutes=2))
        second = github.clone_token(1, 7)
        assert second.text != first.text
        assert second.expires_at - dt.datetime.now(dt.UTC) > LEFT >= dt.timedelta(minutes=5)


def test_threads_that_need_the_same_token_make_one(github: GitHub, github_host: GitHubHost) -> None:
    github_host.repository(1, 7, "halden/web")
    texts: list[str] = []

    def ask() -> None:
        texts.append(github.clone_token(1, 7).text)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(texts) == 8 and len(set(texts)) == 1
    assert github_host.count("POST", "access_tokens") == 1


def test_a_token_that_github_forgot_is_made_anew(github: GitHub, github_host: GitHubHost) -> None:
    github_host.repository(1, 7, "halden/web")
    assert len(github.repositories(1)) == 1
    github_host.tokens.clear()
    assert len(github.repositories(1)) == 1


def test_no_token_or_key_is_in_what_is_printed(github: GitHub, github_host: GitHubHost) -> None:
    github_host.repository(1, 7, "halden/web")
    token = github.clone_token(1, 7)
    assert token.text not in repr(token)
    assert "PRIVATE KEY" not in repr(key_of(github_host))


def test_a_bad_answer_is_asked_for_again_with_longer_pauses(
    github: GitHub, github_host: GitHubHost, pauses: Pauses
) -> None:
    github_host.faults += [Said(502), Said(500, {"message": "Server Error"}), None]
    assert [one.account for one in github.installations()] == ["halden"]
    assert pauses.seconds == [0.5, 1.0, 2.0]


def test_who_is_down_for_longer_is_reported_so(
    github: GitHub, github_host: GitHubHost, pauses: Pauses
) -> None:
    github_host.is_down = True
    with pytest.raises(GitHubAway, match="problem of its own"):
        github.installations()
    assert sum(pauses.seconds) <= 20
    nobody = Asker("http://127.0.0.1:9", RULES, patience=0)
    with pytest.raises(GitHubAway, match="does not answer"):
        nobody.ask("GET", "/app")


def test_a_pause_that_github_asks_for_is_kept(
    github: GitHub, github_host: GitHubHost, pauses: Pauses
) -> None:
    github_host.faults += [Said(429, {"message": "slow down"}, {"Retry-After": "7"})]
    github.installations()
    [waited] = pauses.seconds
    assert 6 < waited <= 7


def test_a_limit_until_an_hour_says_when(github: GitHub, github_host: GitHubHost) -> None:
    reset = int(time.time()) + 1800
    headers = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(reset)}
    github_host.faults += [Said(403, {"message": "API rate limit exceeded"}, headers)]
    with pytest.raises(GitHubLimited) as found:
        github.installations()
    assert reset <= found.value.retry_at < reset + 5
    assert "30 min" in found.value.hint


def test_a_secondary_limit_without_a_time_is_a_minute(
    github: GitHub, github_host: GitHubHost
) -> None:
    said = {"message": "You have exceeded a secondary rate limit."}
    github_host.faults += [Said(403, said)]
    with pytest.raises(GitHubLimited) as found:
        github.installations()
    assert found.value.retry_at > time.time() + 50


def test_every_reason_has_a_class_and_a_sentence(github: GitHub, github_host: GitHubHost) -> None:
    github_host.install(2, "asleep", suspended_at="2026-01-02T03:04:05Z")
    with pytest.raises(GitHubSuspended, match="suspended"):
        github.repositories(2)
    with pytest.raises(GitHubGone):
        github.repositories(3)
    with pytest.raises(GitHubRefused, match="does not exist"):
        github.clone_token(1, 12345)
    stranger = GitHub(AppKey(github_host.api_url, 12, app_pem()), RULES)
    with pytest.raises(GitHubKeyRefused):
        stranger.installations()
    with pytest.raises(GitHubKeyRefused, match="cannot be read"):
        app_token(AppKey(github_host.api_url, 12, "no key"))


def test_no_redirect_is_followed(github: GitHub, github_host: GitHubHost) -> None:
    elsewhere = {"Location": f"{github_host.url}/elsewhere"}
    github_host.faults += [Said(301, {"message": "Moved Permanently"}, elsewhere)]
    with pytest.raises(GitHubMoved):
        github.installations()
    assert len(github_host.asked) == 1


def test_a_next_page_elsewhere_gets_no_token() -> None:
    api = "https://api.github.com"
    assert next_path({"link": f'<{api}/x?page=2>; rel="next"'}, api) == "/x?page=2"
    for stranger in ("https://api.github.com.evil.example/x", "https://evil.example/x"):
        assert next_path({"link": f'<{stranger}>; rel="next"'}, api) is None


@pytest.mark.parametrize(
    "data", [[], {}, {"token": "t"}, {"token": "t", "expires_at": "soon"}, "x"]
)
def test_an_answer_of_another_form_is_no_crash(
    github: GitHub, github_host: GitHubHost, data: object
) -> None:
    github_host.faults += [Said(201, data)]
    with pytest.raises(GitHubAway):
        github.clone_token(1, 7)


def test_an_answer_that_is_too_long_is_not_read(github_host: GitHubHost) -> None:
    github_host.faults += [Said(200, "x" * ANSWER_MAX)]
    with pytest.raises(GitHubAway, match="more than Mist reads"):
        Asker(github_host.api_url, RULES, patience=0).ask("GET", "/app")


def test_a_server_of_this_machine_is_closed_unless_the_rules_open_it(
    github_host: GitHubHost,
) -> None:
    with pytest.raises(GitHubRefused, match="closed to it"):
        Asker(github_host.api_url, Rules()).ask("GET", "/app")
    assert github_host.asked == []


def test_a_manifest_is_converted_once(github_host: GitHubHost) -> None:
    github_host.codes["c0de"] = {
        "id": 5,
        "name": "Mist",
        "slug": "mist",
        "client_id": "Iv1",
        "client_secret": "s3cret",
        "pem": "-----",
        "webhook_secret": None,
    }
    asker = Asker(github_host.api_url, RULES, patience=0)
    made = convert_manifest("c0de", asker=asker)
    assert (made.app_id, made.slug, made.webhook_secret) == (5, "mist", "")
    assert "s3cret" not in repr(made)
    with pytest.raises(GitHubGone):
        convert_manifest("c0de", asker=asker)
    with pytest.raises(GitHubGone):
        convert_manifest("../../app", asker=asker)


def test_reports_arrive_and_an_earlier_one_is_found(
    github: GitHub, github_host: GitHubHost
) -> None:
    github_host.repository(1, 7, "halden/web")
    report = github.reporter(1, 7)
    asked = {"commit": SHA, "environment": "shop/web", "mark": "x-1"}
    assert report.deployment_find(**asked) is None
    number = report.deployment_create(**asked, description="First")
    assert report.deployment_find(**asked) == number
    report.deployment_status(number, state="success", log_url="https://mist.example.com/")
    report.commit_status(SHA, state="success", context="mist/shop/web")
    assert github_host.deployment_statuses[0][1]["state"] == "success"
    assert github_host.states(SHA) == ["success"]
