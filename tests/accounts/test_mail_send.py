"""Mail through a real SMTP server, which wants TLS and a password."""

from __future__ import annotations

import datetime as dt
import ipaddress
import logging
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from pathlib import Path

import environ
import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Sink
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from pytest_django import Settings

from apps.accounts.invitation_services import invitation_create, invitation_mail
from apps.accounts.mail import send_mail
from apps.accounts.models import InstanceRole, User
from apps.accounts.tasks import mail_reset_link
from apps.engine.bench import free_ports

PASSWORD = "pa%2Fss%2Fw0rd"
PLAIN = b"pa/ss/w0rd"


@dataclass
class Mailbox(Sink):
    """What the server took."""

    taken: list[Envelope]

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert session.ssl is not None and session.authenticated
        self.taken.append(envelope)
        return "250 OK"


def _let_in(
    server: SMTP, session: Session, envelope: Envelope, how: str, who: object
) -> AuthResult:
    good = isinstance(who, LoginPassword) and who.login == b"mist" and who.password == PLAIN
    return AuthResult(success=good, handled=good)


def _certificate(folder: Path) -> Path:
    """Of 127.0.0.1, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail")])
    now = dt.datetime.now(dt.UTC)
    host = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([host]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    file = folder / "mail.pem"
    file.write_bytes(key.private_bytes(pem, *plain) + made.public_bytes(pem))
    return file


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The server's; the machine trusts it."""
    file = _certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(file))
    return file


@pytest.fixture
def server(certificate: Path, settings: Settings) -> Iterator[Controller]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    running = Controller(
        Mailbox([]),
        hostname="127.0.0.1",
        port=free_ports(1)[0],
        tls_context=context,
        require_starttls=True,
        auth_required=True,
        authenticator=_let_in,
    )
    running.start()
    try:
        use(settings, running, PASSWORD)
        yield running
    finally:
        running.stop()


def use(settings: Settings, server: Controller, password: str) -> None:
    """Set what a Mist with that address in EMAIL_URL has set."""
    url = f"smtp+tls://mist:{password}@127.0.0.1:{server.port}"
    settings.EMAIL_URL, settings.MIST_URL = url, "https://mist.example.com"
    settings.DEFAULT_FROM_EMAIL = "Mist <mist@example.com>"
    for name, value in environ.Env.email_url_config(url).items():
        setattr(settings, name, value)


def newest(server: Controller) -> tuple[Envelope, str]:
    envelope = server.handler.taken[-1]
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert message["From"] == "Mist <mist@example.com>"
    return envelope, message.get_content()


def test_a_reset_link_and_an_invitation_arrive(server: Controller, alice: User) -> None:
    mail_reset_link("alice@example.com")
    envelope, text = newest(server)
    assert envelope.rcpt_tos == ["alice@example.com"]
    assert "https://mist.example.com/password/" in text
    made = invitation_create(email="bob@example.com", role=InstanceRole.MEMBER, by=alice)
    assert invitation_mail(made)
    envelope, text = newest(server)
    assert envelope.rcpt_tos == ["bob@example.com"] and "https://mist.example.com/" in text


def test_a_server_that_refuses_is_told_by_kind_alone(
    server: Controller, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    use(settings, server, "wrong-and-secret")
    with caplog.at_level(logging.DEBUG):
        assert not send_mail(to="bob@example.com", subject="Hello", text="secret text")
    assert "SMTPAuthenticationError" in caplog.text
    assert "secret" not in caplog.text and server.handler.taken == []


def test_a_server_that_is_not_trusted_gets_no_password(
    server: Controller,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.setenv("SSL_CERT_FILE", str(_certificate(tmp_path / "other")))
    assert not send_mail(to="bob@example.com", subject="Hello", text="text")
    assert "SSLCertVerificationError" in caplog.text and server.handler.taken == []
