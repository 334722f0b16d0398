"""The table of DNS providers."""

from __future__ import annotations

import re

import pytest

from apps.engine.dns_providers import PROVIDERS


@pytest.mark.parametrize(
    ("code", "variables"),
    [
        ("cloudflare", {"CF_DNS_API_TOKEN"}),
        ("digitalocean", {"DO_AUTH_TOKEN"}),
        ("ovh", {"OVH_ENDPOINT", "OVH_APPLICATION_KEY", "OVH_APPLICATION_SECRET", "OVH_CONSUMER_KEY"}),
        ("netcup", {"NETCUP_CUSTOMER_NUMBER", "NETCUP_API_KEY", "NETCUP_API_PASSWORD"}),
    ],
)  # fmt: skip
def test_a_provider_asks_for_the_variables_that_lego_reads(code: str, variables: set[str]) -> None:
    assert {one.name for one in PROVIDERS[code].variables} == variables


def test_no_two_providers_read_the_same_variable() -> None:
    """All of them are in one environment."""
    names = [one.name for provider in PROVIDERS.values() for one in provider.variables]
    assert len(names) == len(set(names))


def test_none_runs_a_program_and_none_reaches_beyond_its_own_variables() -> None:
    """A variable such as PATH or LD_PRELOAD would be one for Traefik itself."""
    assert "exec" not in PROVIDERS
    ours = re.compile(r"(CF|AWS|DO|HETZNER|OVH|GANDIV5|GODADDY|NAMECHEAP|LINODE|VULTR|GCE|AZURE|BUNNY|DESEC|DNSIMPLE|DUCKDNS|HOSTINGER|INFOMANIAK|INWX|IONOS|NETCUP|NETLIFY|NS1|PORKBUN|SCW|VERCEL|PDNS|DNSUPDATE|ACME_DNS|HTTPREQ)_[A-Z_]+")  # fmt: skip
    for provider in PROVIDERS.values():
        assert provider.variables and all(ours.fullmatch(one.name) for one in provider.variables)


def test_what_looks_like_a_secret_is_one() -> None:
    for provider in PROVIDERS.values():
        for one in provider.variables:
            if re.search(r"SECRET|TOKEN|PASSWORD", one.name):
                assert one.is_secret, one.name
