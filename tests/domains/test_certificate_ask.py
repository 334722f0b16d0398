"""For which names certificates are asked."""

from __future__ import annotations

import pytest

from apps.domains.acme import resolver_for, resolvers_for


def test_a_public_name_is_proven_by_http() -> None:
    assert resolver_for("shop.example.com") == "mist-http"


@pytest.mark.parametrize(
    "host", ["web-shop.localhost", "nas", "192.0.2.7", "x.mist.internal", "*.example.com"]
)
def test_nobody_is_asked_for_what_no_issuer_can_prove(host: str) -> None:
    assert resolver_for(host) == ""


def test_names_are_looked_at_together() -> None:
    found = resolvers_for(["a.example.com", "b.localhost"])
    assert found == {"a.example.com": "mist-http", "b.localhost": ""}
