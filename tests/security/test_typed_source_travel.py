"""What was accepted arrives as it is where it is used: in git's words, in labels, in Traefik's files, on the
disk. And nothing that holds a line's end is accepted anywhere."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from apps.engine.errors import InvalidSource
from apps.engine.git_process import git_command
from apps.engine.holdings import check_mount_path
from apps.engine.labels import probe_labels
from apps.engine.routes import Route, app_routes, closed_routes
from apps.engine.run_settings import check_command, check_statuses, split_command
from apps.engine.sources import (
    check_health_path,
    check_host_name,
    check_name,
    check_port,
    check_ref,
    check_relative_path,
    check_repository_url,
    resolve_inside,
)
from apps.projects.dotenv import parse

ROOT = Path(__file__).resolve().parents[2]
CHECKS: dict[Callable[[str], Any], str] = {
    check_repository_url: "https://git.example.com/a/b",
    check_ref: "main",
    check_name: "web",
    check_relative_path: "services/web",
    check_port: "8000",
    check_health_path: "/healthz",
    check_host_name: "shop.example.com",
    check_mount_path: "/data",
    check_command: "python manage.py migrate",
    check_statuses: "200-399",
}
LINE_ENDS = ["\n", "\r", "\r\n", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\x00"]
nasty = st.text(max_size=40) | st.from_regex(r"[a-z0-9./:@`()|&;$ \n-]{0,40}", fullmatch=True)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_a_trailing_newline_passes_no_check(check: Callable[[str], Any]) -> None:
    good = CHECKS[check]
    check(good)
    for end in LINE_ENDS:
        for text in (good + end, end + good, good + end + good):
            try:
                kept = str(check(text))
            except InvalidSource:
                continue
            # Statuses and commands may have white space around them, which is not kept.
            assert kept == kept.strip() and not set(kept) & set("\n\r\x0b\x0c\x1c\x00"), text


def _patterns(tree: ast.AST) -> list[tuple[int, str, str]]:
    """(line, function, pattern) of each call into `re`."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args:
            words = [n.value for n in ast.walk(node.args[0]) if isinstance(n, ast.Constant)]
            texts = [word for word in words if isinstance(word, str)]
            if isinstance(node.func.value, ast.Name) and node.func.value.id == "re" and texts:
                found.append((node.lineno, node.func.attr, texts[-1]))
    return found


def test_no_pattern_of_mists_ends_in_a_dollar() -> None:
    """`$` matches before a newline at the end; `fullmatch` and `\\Z` do not. Lines that a build has
    written are read that way, which nothing is allowed by."""
    seen, wrong = 0, []
    reads_output = ROOT / "apps/engine/build_errors.py"
    for file in {*ROOT.glob("apps/**/*.py"), *ROOT.glob("mist_project/*.py")} - {reads_output}:
        for line, function, pattern in _patterns(ast.parse(file.read_text())):
            seen += 1
            if pattern.endswith("$") and not pattern.endswith("\\$"):
                wrong.append(f"{file.relative_to(ROOT)}:{line} {function}")
    assert seen > 30 and wrong == []


def accepted(check: Callable[[str], Any], text: str) -> str | None:
    try:
        return str(check(text))
    except InvalidSource:
        return None


@given(nasty)
@example("--upload-pack=touch /tmp/x")
@example("main --upload-pack=id")
def test_an_accepted_ref_or_address_is_one_word_and_no_option(text: str) -> None:
    for check in (check_ref, check_repository_url):
        if (kept := accepted(check, text)) is not None:
            words = git_command("fetch", "--", kept)
            assert words[-1] == kept and not kept.startswith("-")
            assert not re.search(r"[\s\x00-\x1f'\"`$;&|<>\\(){}*?]", kept)


PATH = r"[A-Za-z0-9_~-][A-Za-z0-9._~-]*"
HOST_RULE = r"Host\(`[a-z0-9.-]+`\)"
WILD_RULE = r"HostRegexp\(`\^\[a-z0-9-\]\+(?:\\\.[a-z0-9-]+)+\$`\)"
PATH_RULE = rf"\(Path\(`(?:/{PATH})+`\) \|\| PathPrefix\(`(?:/{PATH})+/`\)\)"
RULE = re.compile(
    rf"{HOST_RULE}(?: \|\| {HOST_RULE})*|(?:{HOST_RULE}|{WILD_RULE})(?: && {PATH_RULE})?"
)


@given(st.lists(st.tuples(nasty, nasty, nasty), max_size=4), st.booleans())
@example([("a.com`) || Host(`b.com", "", "")], False)
@example([("a.com", "", ""), ("b.com`) || PathPrefix(`/", "", "")], False)
@example([("a.com\n", "", ""), ("{{ .Host }}", "", "")], True)
@example([("a.com", "/x`) || Path(`/", "")], False)
@example([("*.a.com", "/x", "http://b.com/${evil}")], False)
def test_a_domain_adds_no_rule_of_its_own_to_traefik(
    typed: list[tuple[str, str, str]], closed: bool
) -> None:
    routes = [
        Route(host=host, path=path, redirect_to=target, key=f"d{n}" if n or path or target else "")
        for n, (host, path, target) in enumerate(typed)
    ]
    try:
        file = (
            closed_routes(app="1", routes=routes)
            if closed
            else app_routes(app="1", service="mist-1", routes=routes)
        )
    except InvalidSource:
        return
    if not file:
        assert all(route.key for route in routes)
        return
    http = json.loads(json.dumps(file))["http"]
    assert all(RULE.fullmatch(router["rule"]) for router in http["routers"].values())
    for middleware in http.get("middlewares", {}).values():
        if redirect := middleware.get("redirectRegex"):
            assert re.fullmatch(r"https?://[a-z0-9.:-]+\$\{1\}", redirect["replacement"])


@given(nasty)
def test_a_name_adds_no_label_of_its_own(text: str) -> None:
    if (name := accepted(check_name, text)) is not None:
        labels = probe_labels(
            container_name=f"mist-{name}",
            service=f"mist-{name}",
            port=1,
            network=name,
            instance="x",
        )
        [rule] = [value for key, value in labels.items() if key.endswith(".rule")]
        assert rule == f"Host(`mist-{name}.mist.internal`)"
        assert all(re.fullmatch(r"[a-zA-Z0-9.-]+", key) for key in labels)


@given(nasty | st.from_regex(r"(\.\.?/|/|\\|~|[a-z]){0,10}", fullmatch=True))
@example("../../etc/passwd")
@example("a/../../b")
@example("..\\..\\b")
def test_an_accepted_path_stays_inside(text: str) -> None:
    if (path := accepted(check_relative_path, text)) is not None:
        assert ".." not in PurePosixPath(path).parts and not PurePosixPath(path).is_absolute()
        assert resolve_inside(Path("/nonexistent/checkout"), text).is_relative_to(
            "/nonexistent/checkout"
        )
    if (mount := accepted(check_mount_path, text)) is not None:
        assert PurePosixPath(mount).is_absolute() and ".." not in PurePosixPath(mount).parts
        assert ":" not in mount or len(mount) > 1


@given(nasty)
@example("sh -c 'touch /tmp/x'; touch /tmp/y")
@example("a && b | c > d")
def test_a_command_is_split_and_never_read_by_a_shell(text: str) -> None:
    try:
        words = split_command(text)
    except InvalidSource:
        return
    # Nothing is expanded or left out: every character but quotes and space is in some word.
    kept = "".join(words)
    assert all(char in kept for char in text if not char.isspace() and char not in "'\"\\")


@given(st.text(max_size=200))
def test_a_variable_has_a_name_and_nothing_else_for_one(text: str) -> None:
    parsed = parse(text)
    for name, value in parsed.values.items():
        assert re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name)
        assert "\0" not in value
    for _, problem in parsed.errors:
        assert "\n" not in problem


def test_an_error_in_a_pasted_env_does_not_repeat_the_value() -> None:
    for text in (
        "1NAME=s3cret",
        "NA ME=s3cret",
        "KEY='s3cret",
        'A="s3cret\n',
        "A=s3cret\0",
    ):
        for _, problem in parse(text).errors:
            assert "s3cret" not in problem, text
