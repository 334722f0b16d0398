"""Which pushes deploy an app, and why others do not."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.sources.planning import (
    Push,
    RefKind,
    host_of,
    is_same_repository,
    is_watched,
    reason_to_ignore,
    touches,
    wild,
)

SHA = "a" * 40
PUSH = Push(("https://git.example.com/shop/web",), RefKind.BRANCH, "main", SHA)
TAG = replace(PUSH, kind=RefKind.TAG, name="v1.2")


@dataclass
class Settings:
    branch: str = "main"
    auto_deploy: bool = True
    root_directory: str = ""
    watch_paths: str = ""
    tag_pattern: str = ""


GITHUB = "https://github.com/halden/tidewater"


@pytest.mark.parametrize(
    "other",
    [
        "https://github.com/halden/tidewater.git",
        "https://github.com/halden/tidewater/",
        "https://GitHub.com/Halden/Tidewater",
        "https://www.github.com/halden/tidewater",
        "https://github.com:443/halden/tidewater",
        "http://github.com/halden/tidewater",
        "https://alice@github.com/halden/tidewater.git",
        "git://github.com/halden/tidewater.git",
        "git@github.com:halden/tidewater.git",
        "git@github.com:/halden/tidewater",
        "ssh://git@github.com/halden/tidewater.git",
        "ssh://git@github.com:22/halden/tidewater",
        "ssh://git@ssh.github.com:443/halden/tidewater.git",
        "https://github.com./halden/tidewater",
        "https://github.com/halden/tide%77ater",
    ],
)
def test_a_repository_is_known_by_every_usual_spelling(other: str) -> None:
    assert is_same_repository(GITHUB, other)
    assert is_same_repository(other, GITHUB)
    assert host_of(other) == "github.com"


@pytest.mark.parametrize(
    "other",
    [
        "https://github.com/halden/tidewater-api",
        "https://github.com/mallory/tidewater",
        "https://gitlab.com/halden/tidewater",
        "https://github.com.example.com/halden/tidewater",
        "https://github.com:8443/halden/tidewater",
        "https://example.com/github.com/halden/tidewater",
        "git@github.com.example:halden/tidewater",
        "",
        "halden/tidewater",
        "file:///halden/tidewater",
        "https://[::1/halden",
    ],
)
def test_another_repository_is_another_one(other: str) -> None:
    assert not is_same_repository(GITHUB, other)


def test_ports_count_within_a_scheme() -> None:
    assert is_same_repository("http://127.0.0.1:3000/a/b", "http://127.0.0.1:3000/a/b.git")
    assert not is_same_repository("http://127.0.0.1:3000/a/b", "http://127.0.0.1:4000/a/b")
    assert is_same_repository(
        "https://git.example.com:8443/a/b", "ssh://git@git.example.com:2222/a/b"
    )
    assert is_same_repository("http://[::1]:3000/a/b", "ssh://git@[::1]:22/a/b")


@pytest.mark.parametrize(
    ("app", "push", "reason"),
    [
        (Settings(), PUSH, ""),
        (Settings(branch="next"), PUSH, "branch is not next"),
        (Settings(), replace(PUSH, commit=""), "the branch was deleted"),
        (Settings(auto_deploy=False), PUSH, "deploys by hand"),
        (Settings(), TAG, "tags do not deploy it"),
        (Settings(tag_pattern="v*"), TAG, ""),
        (Settings(tag_pattern="v2*"), TAG, "tag v1.2 does not match v2*"),
        (Settings(tag_pattern="v*"), replace(TAG, commit=""), "the tag was deleted"),
        (Settings(tag_pattern="v*", auto_deploy=False), TAG, "deploys by hand"),
        (Settings(branch="v1.2"), TAG, "tags do not deploy it"),
        (Settings(tag_pattern="*"), replace(TAG, name="v1;id"), "the name of the tag is none that Mist takes"),
        (Settings(watch_paths="docs"), replace(PUSH, paths=frozenset({"a"})), "nothing that it is built from changed"),
        (Settings(watch_paths="docs"), PUSH, ""),
        (Settings(tag_pattern="v*", watch_paths="docs"), replace(TAG, paths=frozenset({"a"})), ""),
    ],
)  # fmt: skip
def test_settings_decide(app: Settings, push: Push, reason: str) -> None:
    assert reason_to_ignore(app, push) == reason


@pytest.mark.parametrize("words", ["[skip ci]", "[ci skip]", "[skip mist]", "[Skip CI]"])
@pytest.mark.parametrize("push", [PUSH, TAG])
def test_a_commit_may_say_that_nothing_is_built(words: str, push: Push) -> None:
    app = Settings(tag_pattern="*")
    said = replace(push, message=f"Mend a comma\n\nNothing else. {words}")
    assert reason_to_ignore(app, said) == f"the commit says {words}"
    assert reason_to_ignore(app, replace(push, message="skip ci, [skip], [skipci]")) == ""


@pytest.mark.parametrize(
    ("patterns", "path", "watched"),
    [
        ("services/web", "services/web/main.py", True),
        ("services/web", "services/web", True),
        ("services/web", "services/website/main.py", False),
        ("services/web/", "services/web/a/b/c.py", True),
        ("services/web/**", "services/web/main.py", True),
        ("./services/web", "services/web/main.py", True),
        ("*.py", "main.py", True),
        ("*.py", "services/main.py", False),
        ("**/*.py", "services/web/main.py", True),
        ("**/*.py", "main.py", True),
        ("**/web/**", "services/web/main.py", True),
        ("services/*/Dockerfile", "services/web/Dockerfile", True),
        ("services/*/Dockerfile", "services/web/deep/Dockerfile", False),
        ("services/we?", "services/web/main.py", True),
        ("services\n!services/web/docs", "services/web/docs/a.md", False),
        ("services\n!services/web/docs", "services/web/a.py", True),
        ("services\n!**/*.md\nservices/web/README.md", "services/web/README.md", True),
        ("!docs", "docs/a.md", False),
        ("!docs", "main.py", True),
        ("Services", "services/web", False),
        ("a[b", "a[b", True),
    ],
)
def test_patterns_say_which_paths_count(patterns: str, path: str, watched: bool) -> None:
    assert is_watched(patterns.splitlines(), path) is watched
    assert touches(Settings(watch_paths=patterns), frozenset({path})) is watched


def test_without_patterns_the_root_directory_counts() -> None:
    web = Settings(root_directory="services/web")
    assert touches(web, frozenset({"README.md", "services/web/a.py"}))
    assert not touches(web, frozenset({"README.md", "services/api/a.py"}))
    assert touches(Settings(), frozenset({"README.md"}))


def test_with_patterns_they_alone_count() -> None:
    web = Settings(root_directory="services/web", watch_paths="libraries\n\n  \n")
    assert touches(web, frozenset({"libraries/a.py"}))
    assert not touches(web, frozenset({"services/web/a.py"}))


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_stars_match_what_a_plain_search_finds(pattern: str, text: str) -> None:
    def plain(pattern: str, text: str) -> bool:
        if not pattern:
            return not text
        if pattern[0] == "*":
            return any(plain(pattern[1:], text[i:]) for i in range(len(text) + 1))
        return bool(text) and pattern[0] in ("?", text[0]) and plain(pattern[1:], text[1:])

    assert wild(pattern, text) is plain(pattern, text)


def test_a_pattern_of_many_stars_takes_no_time_worth_naming() -> None:
    steps = 0

    class Counted(str):
        def __getitem__(self, at: object) -> str:
            nonlocal steps
            steps += 1
            return str.__getitem__(self, at)  # type: ignore[index]

    pattern, text = "*a" * 50 + "*b", Counted("a" * 4_000)
    assert not wild(pattern, text)
    assert steps < 2 * len(pattern) * len(text)
