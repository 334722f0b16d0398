"""Traefik's certificate resolvers as data."""

from __future__ import annotations

from pathlib import Path

from apps.engine.acme import (
    LETS_ENCRYPT,
    LETS_ENCRYPT_STAGING,
    DnsAccount,
    Issuing,
    environment,
    resolvers,
    storage_name,
)

FOLDER = Path("/data/traefik/acme")
CLOUDFLARE = DnsAccount(
    number=3,
    provider="cloudflare",
    variables={"CF_DNS_API_TOKEN": "sesame-open"},
    servers=("192.0.2.1:53",),
    wait_seconds=20,
    looks=False,
)


def test_the_first_name_finds_both_ways_of_proof_ready() -> None:
    common = {
        "caServer": LETS_ENCRYPT,
        "storage": str(FOLDER / storage_name(LETS_ENCRYPT)),
        "keyType": "EC256",
        "certificatesDuration": 2160,
    }
    assert resolvers(Issuing(), folder=FOLDER) == {
        "mist-http": {"acme": common | {"httpChallenge": {"entryPoint": "web"}}},
        "mist-tls": {"acme": common | {"tlsChallenge": {}}},
    }


def test_everything_that_can_be_set_reaches_traefik() -> None:
    issuing = Issuing(
        directory="https://ca.example.com/acme/directory",
        email="ops@example.com",
        eab_key_id="kid-1",
        eab_key="c2VjcmV0",
        lifetime_hours=24,
        accounts=(CLOUDFLARE,),
    )
    assert resolvers(issuing, folder=FOLDER)["mist-dns-3"] == {
        "acme": {
            "caServer": "https://ca.example.com/acme/directory",
            "storage": str(FOLDER / storage_name(issuing.directory)),
            "keyType": "EC256",
            "certificatesDuration": 24,
            "email": "ops@example.com",
            "eab": {"kid": "kid-1", "hmacEncoded": "c2VjcmV0"},
            "dnsChallenge": {
                "provider": "cloudflare",
                "resolvers": ["192.0.2.1:53"],
                "propagation": {"delayBeforeChecks": "20s", "disableChecks": True},
            },
        }
    }


def test_credentials_are_in_the_environment_alone() -> None:
    issuing = Issuing(accounts=(CLOUDFLARE,))
    assert "sesame-open" not in str(resolvers(issuing, folder=FOLDER))
    assert "sesame-open" not in repr(issuing)
    assert environment(issuing, folder=FOLDER, ca_file="/etc/ca.pem") == {
        "CF_DNS_API_TOKEN": "sesame-open",
        "LEGO_CA_CERTIFICATES": "/etc/ca.pem",
        "LEGO_CA_SYSTEM_CERT_POOL": "true",
    }


def test_each_issuer_has_a_file_of_its_own() -> None:
    names = {storage_name(one) for one in (LETS_ENCRYPT, LETS_ENCRYPT_STAGING)}
    assert len(names) == 2
    assert all("/" not in name and name.endswith(".json") for name in names)
