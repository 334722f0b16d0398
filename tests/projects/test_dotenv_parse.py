"""Values of a pasted .env arrive byte for byte."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apps.projects.dotenv import parse


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("A=1", "1"),
        ("export A=1", "1"),
        ("  A = 1  ", "1"),
        ("A=", ""),
        ("A=a=b=c", "a=b=c"),
        ("A=$HOME ${X} $(id) `id`", "$HOME ${X} $(id) `id`"),
        ("A=1 # a comment", "1"),
        ("A=1#2", "1#2"),
        ("A=# only a comment", ""),
        ("A='1 # 2'", "1 # 2"),
        ('A="1 # 2"', "1 # 2"),
        ("A='a\\n$b'", "a\\n$b"),
        ('A="a\\nb\\t\\"c\\" \\\\ \\$d"', 'a\nb\t"c" \\ $d'),
        ('A="line 1\nline 2\n"', "line 1\nline 2\n"),
        ("A='-----BEGIN KEY-----\nabc=\n-----END KEY-----'", "-----BEGIN KEY-----\nabc=\n-----END KEY-----"),
        ("\ufeffA=1\r\nB=2", "1"),
        ("# comment\n\nA=ü€𝄞", "ü€𝄞"),
    ],
)  # fmt: skip
def test_it_reads_what_people_write(text: str, value: str) -> None:
    found = parse(text)
    assert found.errors == [] and found.values["A"] == value


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("A", 1),
        ("A=1\nB B=2", 2),
        ("1A=2", 1),
        ("A=1\n\n=3", 3),
        ('A="open\nB=1', 1),
        ("A-B=1", 1),
        ("A=a\0b", 1),
    ],
)
def test_it_names_the_line_that_cannot_be_read(text: str, line: int) -> None:
    assert [number for number, _ in parse(text).errors][:1] == [line]


@given(st.text(st.characters(exclude_characters="'\0", exclude_categories=["Cs"])))
def test_a_single_quoted_value_is_kept_whatever_it_holds(value: str) -> None:
    assert parse(f"A='{value}'\nB=2").values == {"A": value.replace("\r\n", "\n"), "B": "2"}
