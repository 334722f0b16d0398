"""What is found wrong with a certificate before it is accepted, and in which field."""

from __future__ import annotations

import datetime as dt
import random

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st

from apps.engine.certificate_checks import browsers_know, check_key_pair
from apps.engine.certificates import Facts, KeyPair, covers, pem_of
from apps.engine.errors import CertificateRefused
from tests.machine.issuer import DAY, Issuer, key_pem, make_authority, rsa_key, self_signed

ROOT = make_authority()
MIDDLE = ROOT.below("Test R1", organisation="Let's Test")
INNER = MIDDLE.below("Test R2")


def check(
    pair: KeyPair, host: str = "", roots: tuple[Issuer, ...] = (ROOT,)
) -> tuple[Facts, KeyPair]:
    return check_key_pair(
        chain=pair.chain,
        key=pair.key,
        now=dt.datetime.now(dt.UTC),
        host=host,
        roots=[one.certificate for one in roots],
    )


def refused(pair: KeyPair, host: str = "", roots: tuple[Issuer, ...] = (ROOT,)) -> tuple[str, str]:
    with pytest.raises(CertificateRefused) as caught:
        check(pair, host, roots)
    if "PRIVATE KEY" in pair.key:
        assert pair.key[40:80] not in str(caught.value) + caught.value.hint
    return caught.value.field, f"{caught.value.sentence} {caught.value.hint}"


def test_a_good_one_is_taken_as_it_is() -> None:
    pair = MIDDLE.chained("shop.example.com", "*.shop.example.com")
    facts, kept = check(pair, "shop.example.com")
    assert facts.names == ("shop.example.com", "*.shop.example.com")
    assert facts.issuer == "Let's Test" and len(facts.fingerprint) == 64
    assert kept.chain == pair.chain and kept.key == pair.key


@pytest.mark.parametrize(
    "key",
    [rsa_key(), ec.generate_private_key(ec.SECP384R1()), ed25519.Ed25519PrivateKey.generate()],
    ids=["rsa", "ec", "ed25519"],
)
def test_every_kind_of_key_that_is_served_is_taken(key: object) -> None:
    check(MIDDLE.chained("a.example", key=key))


@given(st.integers(0, 10_000), st.booleans())
@settings(max_examples=20)
def test_a_chain_is_put_in_order_however_it_was_pasted(seed: int, with_root: bool) -> None:
    pair = INNER.leaf("a.example")
    links = [pair.chain, INNER.pem, MIDDLE.pem, *([ROOT.pem] if with_root else [])]
    shuffled = [*links, links[0]]
    random.Random(seed).shuffle(shuffled)
    _, kept = check(KeyPair("some words\n".join(shuffled), pair.key))
    assert kept.chain == "".join(links)


def test_a_key_of_another_certificate_is_said_of_the_key() -> None:
    wrong = KeyPair(MIDDLE.chained("a.example").chain, MIDDLE.leaf("a.example").key)
    field, text = refused(wrong)
    assert field == "key" and "belongs to another certificate" in text


def test_an_encrypted_key_is_said_to_be_one() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    pair = KeyPair(MIDDLE.chained("a.example", key=key).chain, key_pem(key, b"secret"))
    field, text = refused(pair)
    assert field == "key" and "encrypted with a password" in text


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])  # fmt: skip
def test_what_is_no_key_is_said_of_the_key(text: str) -> None:
    field, sentence = refused(KeyPair(MIDDLE.chained("a.example").chain, text))
    assert field == "key" and "no private key in PEM form" in sentence


@pytest.mark.parametrize("text", ["", "hello", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "ö" * 50])  # fmt: skip
def test_what_is_no_certificate_is_said_of_the_chain(text: str) -> None:
    field, sentence = refused(KeyPair(text, MIDDLE.leaf("a.example").key))
    assert field == "chain" and "no certificate in PEM form" in sentence


def test_a_key_in_the_field_of_the_chain_is_refused_before_anything_is_kept() -> None:
    pair = MIDDLE.chained("a.example")
    field, text = refused(KeyPair(pair.chain + pair.key, pair.key))
    assert field == "chain" and "holds a private key" in text


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"ends": -DAY / 2}, "This certificate ended on"),
        ({"begins": DAY}, "is valid from"),
        ({"use": ExtendedKeyUsageOID.CLIENT_AUTH}, "not for servers"),
        ({"ca": True}, "certificate of an authority"),
    ],
)
def test_a_leaf_that_browsers_would_refuse_is_refused(
    changes: dict[str, object], words: str
) -> None:
    field, text = refused(MIDDLE.chained("a.example", **changes))
    assert field == "chain" and words in text


def test_a_signature_with_sha1_is_refused() -> None:
    """Nobody signs so any more: the name of the algorithm is written over a good one's."""
    signer = make_authority("Old", key=rsa_key())
    pair = signer.leaf("a.example")
    der = x509.load_pem_x509_certificate(pair.chain.encode()).public_bytes(Encoding.DER)
    sha256, sha1 = (bytes.fromhex(f"06092a864886f70d0101{n}") for n in ("0b", "05"))
    assert der.count(sha256) == 2
    old = x509.load_der_x509_certificate(der.replace(sha256, sha1))
    field, text = refused(KeyPair(pem_of(old), pair.key))
    assert field == "chain" and "signed with SHA-1" in text


def test_an_authority_that_has_ended_is_refused() -> None:
    ended = ROOT.below("Old R1", begins=-9 * DAY, ends=-DAY)
    field, text = refused(ended.chained("a.example"))
    assert field == "chain" and "Old R1 ended on" in text


def test_short_rsa_keys_and_others_that_are_not_served_are_refused() -> None:
    assert refused(MIDDLE.chained("a.example", key=rsa_key(1024)))[0] == "key"
    assert (
        refused(MIDDLE.chained("a.example", key=ec.generate_private_key(ec.SECP256K1())))[0]
        == "key"
    )
    for key in (ed448.Ed448PrivateKey.generate(), dsa.generate_private_key(2048)):
        pair = KeyPair(MIDDLE.chained("a.example").chain, key_pem(key))
        assert refused(pair)[0] == "key"


def test_a_missing_intermediate_is_named() -> None:
    field, text = refused(INNER.leaf("a.example"))
    assert field == "chain" and "Test R2, which signed a.example, is missing" in text
    field, text = refused(INNER.chained("a.example"))
    assert field == "chain" and "Test R1, which signed Test R2, is missing" in text
    # Whoever signed the last one is known to browsers.
    check(MIDDLE.chained("a.example"))
    check(ROOT.leaf("a.example"))


def test_an_authority_of_ones_own_is_taken_with_its_root() -> None:
    own = make_authority("Our root")
    assert refused(own.leaf("a.example"))[0] == "chain"
    check(own.chained("a.example"))
    # A machine that knows no authority cannot tell.
    check(own.leaf("a.example"), roots=())


def test_browsers_know_what_leads_to_an_authority_of_the_machine() -> None:
    roots = [ROOT.certificate]
    own = make_authority("Our root")
    for pair, known in (
        (MIDDLE.chained("a.example"), True),
        (ROOT.chained("a.example"), True),
        (own.chained("a.example"), False),
    ):
        chain = check(pair)[1].chain
        assert browsers_know(chain, roots) is known
        assert browsers_know(chain, [])


def test_a_certificate_that_signed_nothing_here_is_named() -> None:
    stranger = make_authority("Stranger")
    pair = MIDDLE.chained("a.example")
    field, text = refused(KeyPair(pair.chain + stranger.pem, pair.key))
    assert field == "chain" and "Stranger has signed nothing" in text


def test_a_server_may_not_sign_another() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    server = KeyPair(MIDDLE.chained("a.example", key=key).chain, key_pem(key))
    signer = Issuer(x509.load_pem_x509_certificate(server.chain.encode()), key)
    leaf = signer.leaf("b.example")
    field, text = refused(KeyPair(leaf.chain + server.chain, leaf.key))
    assert field == "chain" and "not one of an authority" in text


def test_a_certificate_without_names_is_refused() -> None:
    assert "names no host" in refused(MIDDLE.chained())[1]


def test_what_is_signed_by_itself_is_taken() -> None:
    facts, _ = check(self_signed("a.example"))
    assert facts.issuer == "a.example"


@pytest.mark.parametrize("host", ["b.example", "x.a.example", "*.a.example", "example"])
def test_a_name_that_it_is_not_for_is_said_with_those_it_is_for(host: str) -> None:
    field, text = refused(MIDDLE.chained("a.example"), host)
    assert field == "chain" and f"for a.example, not for {host}" in text


def test_too_much_is_not_read() -> None:
    pair = MIDDLE.chained("a.example")
    assert "64 KB" in refused(KeyPair(pair.chain + "x" * 70_000, pair.key))[1]
    assert "16 KB" in refused(KeyPair(pair.chain, pair.key + "x" * 20_000))[1]
    many = "".join(make_authority(str(n)).pem for n in range(11))
    assert "at most 10" in refused(KeyPair(pair.chain + many, pair.key))[1]


LABEL = st.from_regex(r"[a-z0-9]{1,5}", fullmatch=True)
NAME = st.lists(LABEL, min_size=2, max_size=4).map(".".join)


@given(NAME, LABEL)
def test_a_wildcard_is_for_one_label_more_and_no_other(name: str, label: str) -> None:
    assert covers((f"*.{name}",), f"{label}.{name}")
    assert covers((f"*.{name}",), f"*.{name}")
    assert not covers((f"*.{name}",), name)
    assert not covers((f"*.{name}",), f"{label}.{label}.{name}")
    assert not covers((f"{label}.{name}",), f"*.{name}")


@given(st.text(max_size=300), st.text(max_size=300))
def test_no_text_is_taken_or_ends_in_a_traceback(chain: str, key: str) -> None:
    with pytest.raises(CertificateRefused):
        check(KeyPair(chain, key))
