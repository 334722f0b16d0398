"""No known value survives in lines of output, however the usual tools print it; nothing else is
altered."""

from __future__ import annotations

import base64
import json
import random
import textwrap
from collections.abc import Callable
from itertools import pairwise
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.engine.masking import HEAD, MASK, Masker, Masking
from apps.engine.secret_forms import forms_of, is_secret

SECRET = "q7!Lm/2+vK~x&Zt 9<p"
PEM = "-----BEGIN KEY-----\n" + "\n".join(f"{n}Kj{'aB3d/+' * 10}" for n in range(5)) + "\n-----END KEY-----\n"  # fmt: skip
PRINTABLE = st.characters(min_codepoint=33, max_codepoint=0x24F, exclude_characters="•\x7f")
SECRETS = st.text(PRINTABLE, min_size=8, max_size=60).filter(
    lambda text: is_secret(text) and not any(char.isspace() for char in text)
)
ORDINARY = st.text(st.sampled_from("αβγδ ειζη.:"), max_size=30)
"""Of letters that no secret here has: what is left of it can be compared."""
TOOLS: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "json": lambda v: json.dumps(v),
    "json as it is": lambda v: json.dumps(v, ensure_ascii=False),
    "json in json": lambda v: json.dumps(json.dumps({"key": v})),
    "php json": lambda v: json.dumps(v).replace("/", "\\/"),
    "url": lambda v: quote(v, safe=""),
    "url path": quote,
    "url query": quote_plus,
    "encodeURIComponent": lambda v: quote(v, safe="!'()*"),
    "repr": repr,
    "base64": lambda v: base64.b64encode(v.encode()).decode(),
    "base64 url-safe": lambda v: base64.urlsafe_b64encode(v.encode()).decode(),
    "base64 without padding": lambda v: base64.b64encode(v.encode()).decode().rstrip("="),
    "base64 of a line": lambda v: base64.b64encode(v.encode() + b"\n").decode(),
    "basic auth": lambda v: base64.b64encode(f"alice:{v}".encode()).decode(),
}


def lines_of(masker: Masker, lines: list[str]) -> list[str]:
    stream = Masking(masker)
    out = [shown for line in lines for _, shown in stream.feed(line)]
    return out + [shown for _, shown in stream.settle()]


@pytest.mark.parametrize("tool", TOOLS)
@given(value=SECRETS, before=ORDINARY, after=ORDINARY)
def test_no_printed_value_survives(tool: str, value: str, before: str, after: str) -> None:
    printed = TOOLS[tool](value)
    shown = Masker([value]).text(f"{before} {printed} {after}")
    assert MASK in shown and value not in shown
    # Of base64, and of quotes around it, so many characters may be left as hold nothing of it.
    left = shown.removeprefix(f"{before} ").removesuffix(f" {after}").replace(MASK, "")
    allowed = {"basic auth": 8, "base64 of a line": 4, "json in json": 20}.get(tool, 2)
    assert len(left) <= allowed, left


@given(value=SECRETS, before=st.binary(max_size=7), after=st.binary(max_size=7), width=st.sampled_from([20, 64, 76, 10_000]), safe=st.booleans())  # fmt: skip
def test_base64_is_known_at_every_place_and_width(
    value: str, before: bytes, after: bytes, width: int, safe: bool
) -> None:
    """Decoding what is left gives nothing of the value."""
    encode = base64.urlsafe_b64encode if safe else base64.b64encode
    text = encode(before + value.encode() + after).decode()
    printed = [text[at : at + width] for at in range(0, len(text), width)]
    shown = "".join(lines_of(Masker([value]), printed))
    assert MASK in shown
    left = shown.partition(MASK)[0], shown.rpartition(MASK)[2]
    # Beside it stays what its neighbours alone say.
    assert len(left[0]) <= -(-len(before) * 8 // 6) and len(left[1]) <= -(-len(after) * 8 // 6) + 2


@given(value=SECRETS, before=ORDINARY, after=ORDINARY, data=st.data())
def test_a_value_over_several_lines_is_known(
    value: str, before: str, after: str, data: st.DataObject
) -> None:
    places = data.draw(st.lists(st.integers(HEAD, len(value) - 1), min_size=1, unique=True))
    cuts = [0, *sorted(places), len(value)]
    pieces = [value[a:b] for a, b in pairwise(cuts)]
    lines = [f"{before} {pieces[0]}", *pieces[1:-1], f"{pieces[-1]} {after}"]
    shown = lines_of(Masker([value]), lines)
    assert shown == [f"{before} {MASK}", *[MASK] * (len(pieces) - 2), f"{MASK} {after}"]


@given(value=SECRETS, cut=st.integers(1, HEAD - 1))
def test_of_a_value_cut_right_after_its_begin_the_rest_is_known(value: str, cut: int) -> None:
    assert lines_of(Masker([value]), [value[:cut], value[cut:]]) == [value[:cut], MASK]


@given(values=st.lists(SECRETS, max_size=8), lines=st.lists(ORDINARY, max_size=20))
def test_nothing_else_is_altered(values: list[str], lines: list[str]) -> None:
    assert lines_of(Masker(values), lines) == lines


@given(value=SECRETS, lines=st.lists(ORDINARY, min_size=1, max_size=6), at=st.integers(3, 5))
def test_what_only_begins_like_a_value_stays(value: str, lines: list[str], at: int) -> None:
    """A line may end as a value begins and go on otherwise."""
    begun = [f"{line} {value[:at]}" for line in lines] + ["."]
    assert lines_of(Masker([value]), begun) == begun


def test_streams_beside_each_other_are_told_apart() -> None:
    stream = Masking(Masker(["abcdefgh"]))
    fed = [("#1 abcd", "#1"), ("#2 abcd", "#2"), ("#1 efgh", "#1"), ("#2 abcd", "#2")]
    out = [line for text, track in fed for line in stream.feed(text, tag=track, track=track, begin=3)]  # fmt: skip
    assert [*out, *stream.settle()] == [
        ("#1", f"#1 {MASK}"), ("#2", "#2 abcd"), ("#1", f"#1 {MASK}"), ("#2", f"#2 {MASK}"),
    ]  # fmt: skip


def test_a_line_waits_only_while_it_may_go_on() -> None:
    stream = Masking(Masker(["abcdefgh"]))
    assert stream.feed("xx abcd") == [] and stream.waits
    assert stream.feed("other") == [(None, "xx abcd"), (None, "other")]
    assert stream.feed("xx abcdef") == []
    # Nobody knows what comes: half of a value and more is hidden, and its rest still known.
    assert stream.settle() == [(None, f"xx {MASK}")]
    assert stream.feed("gh yy") == [(None, f"{MASK} yy")]
    assert stream.feed("only abc") == [(None, "only abc")]


def test_a_value_of_several_lines_is_known_however_it_is_printed() -> None:
    masker = Masker([PEM])
    inner = PEM.strip().split("\n")[1:-1]
    for printed in (
        PEM,
        PEM.replace("\n", " "),
        PEM.replace("\n", ""),
        textwrap.indent(PEM, "    "),
        json.dumps({"key": PEM}),
        "\n".join(textwrap.wrap(base64.b64encode(PEM.encode()).decode(), 76)),
        inner[2],
    ):
        shown = masker.text(printed)
        assert MASK in shown and not any(line[4:30] in shown for line in inner), printed


def test_a_password_inside_an_address_is_known_by_itself() -> None:
    masker = Masker(["postgres://shop:pass%2Fword-1@db:5432/shop"])
    assert masker.text("user shop, password pass/word-1.") == f"user shop, password {MASK}."
    assert masker.text("pass%2Fword-1") == MASK
    assert masker.text("host db:5432") == "host db:5432"


@pytest.mark.parametrize(
    "value",
    ["", "true", "8080", "300000", "1.5", "-12345", "production", "Production", "localhost",
     "127.0.0.1", "10.0.0.0/8", "https://shop.example.com/", "http://localhost:8000",
     "Europe/Berlin", "en_US.UTF-8", "/app/data/uploads", "abc12", "a b c d", "xxxxxxxx"],
)  # fmt: skip
def test_what_is_obviously_public_stays(value: str) -> None:
    assert not is_secret(value) and Masker([value]).text(f"it is {value} here") == f"it is {value} here"  # fmt: skip


@pytest.mark.parametrize(
    "value",
    ["hunter2", "12345678", "https://user:pw@host/", "https://hooks.example.com/T0/B1/xyz",
     "/aB3dEfGhIjKl", "/app/aB3dEfGh", "correct horse"],
)  # fmt: skip
def test_what_may_be_a_secret_is_hidden(value: str) -> None:
    assert Masker([value]).text(f"it is {value} here") == f"it is {MASK} here"


def test_its_own_text_says_nothing() -> None:
    masker = Masker([SECRET])
    shown = repr(masker) + str(vars(masker)) + repr(forms_of([SECRET]))
    for piece in (SECRET, SECRET[:8], base64.b64encode(SECRET.encode()).decode()[:8]):
        assert piece not in shown.replace(repr(masker._heads), "")


def test_many_values_and_lines_take_each_line_once() -> None:
    """Not one search for each value: a thousand values hide as a handful does."""
    chance = random.Random(1)
    values = [f"{chance.getrandbits(128):032x}" for _ in range(1000)]
    masker = Masker(values)
    lines = [f"request {n} took {n % 7} ms for {values[n]}" for n in range(1000)]
    assert lines_of(masker, lines) == [f"request {n} took {n % 7} ms for {MASK}" for n in range(1000)]  # fmt: skip
