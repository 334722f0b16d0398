"""What Traefik says and keeps of certificates, as it writes it (3.7.15)."""

from __future__ import annotations

import base64
import datetime as dt
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from apps.engine.acme_outcomes import Issued, covers, in_the_way, issued, refusals
from apps.engine.acme_problems import WORDS, kind_of, retry_after, words_for

EARLY = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
HEAD = "unable to generate a certificate for the domains [a.example.com]: resolver: one or more domains had a problem: [a.example.com: "
ACME = HEAD + "invalid authorization: acme: error: {} :: urn:ietf:params:acme:error:{} :: {}]"
REFUSED = ACME.format(
    400, "connection",
    'Get \\"http://a.example.com/.well-known/acme-challenge/fRRHTRAu_Fu94\\": dial tcp 192.0.2.9:80: connect: connection refused',
)  # fmt: skip


def line(
    error: str, *, at: str = "2026-11-27T07:54:02Z", domains: str = '["a.example.com"]'
) -> str:
    return (
        '{"level":"error","providerName":"mist-http.acme","acmeCA":"https://ca/dir","routerName":"app-7-tls@file",'
        f'"rule":"Host(`a.example.com`)","error":"{error}","domains":{domains},"time":"{at}",'
        '"message":"Unable to obtain ACME certificate for domains"}'
    )


def test_a_refusal_is_read_with_its_name_moment_kind_and_words() -> None:
    [found] = refusals(["noise", line(REFUSED)], since=EARLY)
    assert found.hosts == ("a.example.com",)
    assert found.at == dt.datetime(2026, 11, 27, 7, 54, 2, tzinfo=dt.UTC)
    assert found.kind == "connection" and not found.is_renewal
    assert "connection refused" in found.detail
    # Neither what Traefik puts around it nor the token of the proof.
    assert "had a problem" not in found.detail and "fRRHTRAu" not in found.detail


def test_a_renewal_that_fails_is_told_apart() -> None:
    said = json.dumps(
        {
            "level": "error", "time": "2026-11-27T07:54:02Z", "error": "acme: error: 500 :: urn:ietf:params:acme:error:serverInternal :: oops",
            "message": "Error renewing ACME certificate: {a.example.com [b.example.com]}",
        }
    )  # fmt: skip
    [found] = refusals([said], since=EARLY)
    assert found.is_renewal and found.hosts == ("a.example.com", "b.example.com")
    assert found.kind == "serverInternal"


@pytest.mark.parametrize(
    "text",
    [
        "Unable to obtain ACME certificate for domains",
        '{"message":"Unable to obtain ACME certificate for domains"}',
        '{"message":"Unable to obtain ACME certificate for domains","time":"x","domains":["a"]}',
        '["Unable to obtain ACME certificate for domains"]',
        line(REFUSED, domains="null"),
    ],
)
def test_lines_of_another_form_are_passed_over(text: str) -> None:
    assert refusals([text], since=EARLY) == []


def test_only_what_was_said_since_then_counts_oldest_first() -> None:
    lines = [line(REFUSED, at=f"2026-11-27T07:54:0{n}Z") for n in (5, 1, 3)]
    since = dt.datetime(2026, 11, 27, 7, 54, 3, tzinfo=dt.UTC)
    assert [one.at.second for one in refusals(lines, since=since)] == [3, 5]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (ACME.format(400, "dns", "NXDOMAIN looking up A for a.example.com"), "dns"),
        (ACME.format(403, "unauthorized", "Invalid response from http://…: 404"), "unauthorized"),
        (ACME.format(403, "caa", "CAA record for a.example.com prevents issuance"), "caa"),
        ("acme: error: 429 :: POST :: https://ca/new-order :: urn:ietf:params:acme:error:rateLimited :: too many failed authorizations (5)", "rateLimited"),
        ("acme: error: 400 :: urn:ietf:params:acme:error:badNonce :: JWS has an invalid anti-replay nonce", "badNonce"),
        ("cannot get ACME client acme: error: 403 :: urn:ietf:params:acme:error:externalAccountRequired :: x", "externalAccountRequired"),
        ("acme: error: 400 :: urn:ietf:params:acme:error:rejectedIdentifier :: Domain name is not allowed", "rejectedIdentifier"),
        ("acme: error: 400 :: urn:ietf:params:acme:error:compound :: x :: urn:ietf:params:acme:error:dns :: y", "dns"),
        ("cannot get ACME client cloudflare: some credentials information are missing: CLOUDFLARE_EMAIL", "credentials"),
        (HEAD + "dns01: error presenting token (a.example.com): httpreq: unable to communicate]", "record"),
        (HEAD + "dns01: propagation: time limit exceeded: last error: NS x did not return the expected TXT record]", "propagation"),
        ("cannot get ACME client get directory at 'https://ca/dir': Get: dial tcp 192.0.2.1:443: connect: connection refused", "unreachable"),
        ("cannot get ACME client get directory at 'https://ca/dir': tls: failed to verify certificate: x509: certificate signed by unknown authority", "unreachable"),
        ("urn:ietf:params:acme:error:somethingNew :: x", "other"),
        ("", "other"),
    ],
)  # fmt: skip
def test_each_kind_of_problem_is_known_by_what_traefik_writes(error: str, kind: str) -> None:
    assert kind_of(error) == kind


def test_every_problem_has_a_sentence_and_a_next_step() -> None:
    for kind, words in WORDS.items():
        assert words.sentence.endswith(".") and words.step.endswith("."), kind
    assert words_for("of tomorrow") == WORDS["other"]


def test_an_issuer_that_says_when_is_taken_at_its_word() -> None:
    error = "urn:ietf:params:acme:error:rateLimited :: too many certificates, retry after 2026-11-28 03:04:05 UTC: see"
    assert retry_after(error) == dt.datetime(2026, 11, 28, 3, 4, 5, tzinfo=dt.UTC)
    assert retry_after("rateLimited :: later") is None


def certificate(host: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([])
    made = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
        .serial_number(7).not_valid_before(EARLY).not_valid_after(EARLY + dt.timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


def test_the_storage_says_which_names_have_one_and_until_when() -> None:
    one = {"domain": {"main": "a.example.com", "sans": ["b.example.com"]}, "key": "…"}
    broken = {"domain": {"main": "c.example.com"}, "certificate": "AAAA"}
    stored = {
        "mist-http": {"Account": {}, "Certificates": [one | {"certificate": certificate("a.example.com")}, broken]},
        "mist-tls": {"Account": None, "Certificates": None},
        "mist-dns-1": None,
    }  # fmt: skip
    [found] = issued(json.dumps(stored))
    assert found.hosts == ("a.example.com", "b.example.com") and found.resolver == "mist-http"
    assert found.begins == EARLY and found.ends == EARLY + dt.timedelta(days=90)
    assert issued("") == []
    with pytest.raises(ValueError):
        issued('{"mist-http": {"Certifica')


def test_a_wildcard_is_for_names_directly_below() -> None:
    assert covers(("*.example.com",), "a.example.com")
    assert covers(("*.example.com",), "*.example.com")
    assert not covers(("*.example.com",), "a.b.example.com")
    assert not covers(("*.example.com",), "example.com")


SHOP, WWW, ALL = "shop.example.com", "www.example.com", "*.example.com"


@pytest.mark.parametrize(
    ("host", "ready", "held", "is_in_the_way"),
    [
        # Of the same deciding name Traefik serves either.
        (SHOP, (SHOP,), (SHOP,), True),
        (SHOP, (SHOP, WWW), (SHOP,), True),
        (SHOP, (SHOP,), ("a.example.com", SHOP), True),
        (SHOP, (ALL,), (ALL,), True),
        (ALL, (ALL,), (ALL,), True),
        # An exact one before a wildcard.
        (SHOP, (ALL,), (SHOP,), True),
        (SHOP, (SHOP,), (ALL,), False),
        (SHOP, (SHOP, ALL), (ALL,), False),
        # For other names.
        (SHOP, (SHOP, WWW), (WWW,), False),
        (SHOP, (SHOP,), ("*.shop.example.com",), False),
        ("a.shop.example.com", ("*.shop.example.com",), (ALL,), False),
        (SHOP, (WWW,), (SHOP,), False),
    ],
)
def test_an_issued_one_is_in_the_way_where_traefik_may_serve_it(
    host: str, ready: tuple[str, ...], held: tuple[str, ...], is_in_the_way: bool
) -> None:
    one = Issued(held, EARLY, EARLY)
    assert in_the_way([one], {host: ready}) == ([one] if is_in_the_way else [])
