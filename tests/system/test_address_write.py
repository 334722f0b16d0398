"""Addresses in templates: the quick way writes what Django writes."""

from __future__ import annotations

from typing import Any

import pytest
from django.template import Context, Template
from django.urls import NoReverseMatch, reverse

from tests.system.test_page_access import every_url


def write(name: str, *values: Any, asvar: bool = False) -> str:
    words = " ".join(f"v{number}" for number in range(len(values)))
    text = f"{{% url '{name}' {words}{' as x' if asvar else ''} %}}{'[{{ x }}]' if asvar else ''}"
    return Template(text).render(Context({f"v{n}": value for n, value in enumerate(values)}))


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("dashboard", ()),
        ("project", ("shop",)),
        ("app", ("shop-1", "web_2")),
        ("deployment", ("shop", "web", 12)),
        ("variable_reveal", ("shop", "web", 902_700_000)),
        ("setup", ("a b",)),
        ("setup", ("{0}%",)),
        ("setup", ("stand-in-0",)),
    ],
)
def test_it_writes_what_django_writes(name: str, values: tuple[Any, ...]) -> None:
    for _ in range(2):  # the second time from memory
        assert write(name, *values) == reverse(name, args=values)
        assert write(name, *values, asvar=True) == f"[{reverse(name, args=values)}]"


def test_it_fails_as_django_fails() -> None:
    for values in (("shop",), ("shop", "no slug here"), ("shop", "")):
        with pytest.raises(NoReverseMatch):
            write("app", *values)
    with pytest.raises(NoReverseMatch):
        write("nowhere")
    assert write("nowhere", asvar=True) == "[]"


def test_two_names_never_share_an_address() -> None:
    assert len({url for _, url in every_url()}) == len(every_url())
