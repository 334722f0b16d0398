"""Names of ready images, by the grammar of github.com/distribution/reference."""

from __future__ import annotations

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.errors import InvalidSource
from apps.engine.image_names import (
    ImageName,
    check_image_name,
    check_image_version,
    check_registry,
    is_same_image,
    parse_image_name,
)

DIGEST = "sha256:" + "0123456789abcdef" * 4

_word = st.text(string.ascii_lowercase + string.digits, min_size=1, max_size=8)
_part = st.builds(
    lambda words, gap: gap.join(words),
    st.lists(_word, min_size=1, max_size=3),
    st.sampled_from([".", "_", "__", "-", "---"]),
)
_paths = st.lists(_part, min_size=1, max_size=4).map("/".join)
_hosts = st.builds(
    lambda name, port: f"{name}{port}",
    st.sampled_from(["ghcr.io", "localhost", "127.0.0.1", "Registry.Example.com", "a-b.c"]),
    st.sampled_from(["", ":1", ":5000", ":65535"]),
)
_tags = st.text(string.ascii_letters + string.digits + "_.-", min_size=1, max_size=128).filter(
    lambda text: text[0] not in ".-"
)


@pytest.mark.parametrize(
    ("typed", "full"),
    [
        ("nginx", "docker.io/library/nginx:latest"),
        ("nginx:1.27", "docker.io/library/nginx:1.27"),
        ("docker.io/nginx", "docker.io/library/nginx:latest"),
        ("index.docker.io/library/nginx", "docker.io/library/nginx:latest"),
        ("halden/shop", "docker.io/halden/shop:latest"),
        ("localhost/shop", "localhost/shop:latest"),
        ("localhost:5000/shop", "localhost:5000/shop:latest"),
        ("shop:5000", "docker.io/library/shop:5000"),
        ("GHCR.io/halden/shop", "ghcr.io/halden/shop:latest"),
        ("127.0.0.1:5000/a/b/c:x", "127.0.0.1:5000/a/b/c:x"),
        (f"nginx@{DIGEST}", f"docker.io/library/nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"docker.io/library/nginx:1.27@{DIGEST}"),
        ("a__b/c---d/e.f", "docker.io/a__b/c---d/e.f:latest"),
    ],
)
def test_a_name_means_what_engines_take_it_for(typed: str, full: str) -> None:
    assert str(parse_image_name(typed)) == full
    assert check_image_name(typed) == typed
    assert is_same_image(typed, full)


@pytest.mark.parametrize(
    "typed",
    [
        *("", " ", "nginx ", " nginx", "nginx\n", "nginx:1.27\n", f"nginx@{DIGEST}\n", "ng inx"),
        *("Nginx", "Halden/shop", "ghcr.io/Halden/shop", "a//b", "/a", "a/", "ghcr.io/", "a/../b"),
        *(
            "a..b",
            "a_-b",
            "a___b",
            "-a",
            "a-",
            ".a",
            "a:",
            "a::b",
            "a:-x",
            "a:.x",
            "a:" + "x" * 129,
        ),
        *("https://ghcr.io/a/b", "ghcr.io/a?b", "a@b", "a@sha256:abc", f"a@{DIGEST.upper()}"),
        *(f"a@sha512:{'0' * 128}", f"a@{DIGEST}@{DIGEST}", f"@{DIGEST}", "0123456789abcdef" * 4),
        *("ghcr.io:0/a", "ghcr.io:65536/a", "ghcr.io:/a", "ghcr.io:99999999999/a", "-x.io/a"),
        *("[::1]:5000/a", "[::1]/a", "::1/a", "user:word@ghcr.io/a", "user@ghcr.io/a", "$(id)"),
        *("a;b", "a|b", "a`b`", "ä", "ghcr.io/\u212a", "nginx:\uff11", "scratch", "a" * 300),
        *("--help", "a:x/y", "a\x00b", "ghcr.io\\a", "registry..io/a", "ghcr.io./a"),
    ],
)
def test_what_is_no_name_is_refused(typed: str) -> None:
    with pytest.raises(InvalidSource) as caught:
        check_image_name(typed)
    assert caught.value.sentence


@given(host=_hosts, path=_paths, tag=_tags)
def test_every_name_of_the_grammar_is_taken_apart_and_put_together_again(
    host: str, path: str, tag: str
) -> None:
    image = parse_image_name(f"{host}/{path}:{tag}")
    assert image == ImageName(host.lower(), path, tag)
    assert parse_image_name(str(image)) == image
    pinned = image.with_digest(DIGEST)
    assert parse_image_name(str(pinned)) == pinned
    assert parse_image_name(pinned.pinned) == image.at(DIGEST)
    assert image.at(tag) == image


def _is_refused_or_stays_the_same(text: str) -> None:
    try:
        image = parse_image_name(text)
    except InvalidSource:
        return
    assert parse_image_name(str(image)) == image
    assert "\n" not in text and text.isascii() and text == text.strip()
    assert image.tag or image.digest


@given(text=st.text(max_size=80))
def test_anything_is_refused_or_stays_the_same(text: str) -> None:
    _is_refused_or_stays_the_same(text)


@given(text=st.text("aA1.:/@-_ \n", max_size=40))
def test_what_comes_close_to_a_name_is_refused_or_stays_the_same(text: str) -> None:
    _is_refused_or_stays_the_same(text)


@pytest.mark.parametrize(
    ("typed", "registry"),
    [
        *(("docker.io", "docker.io"), ("index.docker.io", "docker.io"), ("GHCR.io", "ghcr.io")),
        *(("localhost", "localhost"), ("127.0.0.1:5000", "127.0.0.1:5000")),
    ],
)
def test_a_registry_is_named_as_its_images_name_it(typed: str, registry: str) -> None:
    assert check_registry(typed) == registry
    assert parse_image_name(f"{typed}/a/b").registry == registry


@pytest.mark.parametrize(
    "typed",
    ["", "ghcr", "ghcr.io/", "ghcr.io/a", "https://ghcr.io", "ghcr.io\n", "a b.io", "ghcr.io:0", "[::1]:5000"],
)  # fmt: skip
def test_what_is_no_registry_is_refused(typed: str) -> None:
    with pytest.raises(InvalidSource):
        check_registry(typed)


@pytest.mark.parametrize("good", ["latest", "1.27-alpine", "_x", DIGEST])
def test_a_version_is_a_tag_or_a_digest(good: str) -> None:
    assert check_image_version(good) == good


@pytest.mark.parametrize("bad", ["", "-x", "a/b", "a\n", "a:b", "sha256:0", DIGEST + "0", "ä"])
def test_another_version_is_refused(bad: str) -> None:
    with pytest.raises(InvalidSource):
        check_image_version(bad)
