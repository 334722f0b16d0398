"""What people typed is text in the files that Traefik reads, whatever it is."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from apps.engine.bench import free_ports
from apps.engine.data import EngineConfig
from apps.engine.dynamic_file import file_text
from apps.engine.traefik import Traefik

NASTY = ["`", '"', "'", "\n", "\r", "\t", "\\", "${", "${1}", "{{", "}}", "{", '{{ env "HOME" }}',
         "{{/*", "{{- ", "{%", "#", ": ", "- ", "&a", "*a", "!!str", "|", ">", "%", "@", "---",
         "\x00", "\x1b", "\x7f", "\x85", "\x9f", "\xa0", "\u2028", "\u2029", "\ufeff", "\ufffe",
         "\uffff", "\U0001f600", "\U0010ffff", "ü", "`) || Host(`b.example.com", "yes", "~",
         "\\u007b", "\\"]  # fmt: skip
texts = st.lists(
    st.one_of(
        st.sampled_from(NASTY), st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
    ),
    max_size=8,
).map("".join)
contents = st.recursive(
    st.one_of(texts, st.integers(), st.booleans()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


@given(st.dictionaries(texts, contents, max_size=4))
def test_a_file_says_what_it_was_given_and_is_no_template(content: dict[str, Any]) -> None:
    text = file_text(content)
    assert json.loads(text) == content
    assert "{{" not in text
    # YAML 1.2, 5.1: what may stand in a file as it is.
    assert all(
        char in "\t\n\xa0" or " " <= char <= "~" or "\xa0" <= char <= "\ud7ff"
        or "\ue000" <= char <= "\ufffd" or char >= "\U00010000" for char in text
    )  # fmt: skip
    assert not set(text) & set("\x85\u2028\u2029\ufeff")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        file_text({"a": "\ud83d"})


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory) -> Any:
    http_port, https_port, probe_port, api_port = free_ports(4)
    made = Traefik(
        EngineConfig(
            instance="0123abcd",
            data_dir=tmp_path_factory.mktemp("data"),
            bind="127.0.0.1",
            http_port=http_port,
            https_port=https_port,
            probe_port=probe_port,
            proxy_api_port=api_port,
        )
    )
    made.ensure_running()
    yield made
    made.stop()


def told(proxy: Traefik, name: str, mark: str) -> dict[str, Any]:
    """The middleware as Traefik has it, once it has the one that is marked so."""
    until = time.monotonic() + 20
    while True:
        found = proxy._api.get(f"/api/http/middlewares/{name}@file") or {}
        if found.get("headers", {}).get("customRequestHeaders", {}).get("X-Mark") == mark:
            return found
        assert time.monotonic() < until, Path(proxy._log).read_text()[-2000:]
        time.sleep(0.02)


@pytest.mark.docker
@settings(max_examples=30, suppress_health_check=list(HealthCheck))
@given(st.lists(texts, min_size=20, max_size=60))
def test_traefik_reads_back_every_text_as_it_was(traefik: Traefik, some: list[str]) -> None:
    mark = str(time.monotonic_ns())
    headers = {f"X-{number}": text for number, text in enumerate(some)} | {"X-Mark": mark}
    content = {"http": {"middlewares": {"texts": {"headers": {"customRequestHeaders": headers}}}}}
    traefik.write_routes("1", content)
    found = told(traefik, "texts", mark)["headers"]["customRequestHeaders"]
    assert found == headers
    assert traefik.read_routes("1") == content


@pytest.mark.docker
def test_a_template_in_a_text_would_be_carried_out_otherwise(traefik: Traefik) -> None:
    """So that the test above proves something."""
    text = '{"http": {"middlewares": {"raw": {"headers": {"customRequestHeaders": %s}}}}}'
    file = traefik._files.dynamic / "raw.yml"
    file.write_text(text % '{"X-Mark": "raw", "X-1": "{{ add 1 2 }}"}')
    try:
        found = told(traefik, "raw", "raw")["headers"]["customRequestHeaders"]
        assert found["X-1"] == "3"
    finally:
        file.unlink()
