"""A real ACME issuer of a test's own, from Debian's package pebble, with the DNS that it asks."""

from __future__ import annotations

import datetime as dt
import http.server
import ipaddress
import json
import os
import socket
import ssl
import subprocess
import threading
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from apps.engine.bench import free_ports
from tests.machine.world import wait_until

EAB_KEY_ID, EAB_KEY = "kid-1", "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"


@dataclass(frozen=True)
class Issuer:
    directory: str
    ca_file: Path
    """Signs the certificate of its own address; not what it issues."""
    management: str
    dns_server: str
    dns_management: str
    log: Path

    def set_address(self, host: str, *addresses: str) -> None:
        """Where the name leads. Others lead to 127.0.0.1."""
        self._tell_dns("/clear-a", {"host": f"{host}."})
        self._tell_dns("/add-a", {"host": f"{host}.", "addresses": list(addresses)})

    def fail_name(self, host: str) -> None:
        """Its DNS servers fail."""
        self._tell_dns("/set-servfail", {"host": f"{host}."})

    def mend_name(self, host: str) -> None:
        self._tell_dns("/clear-servfail", {"host": f"{host}."})

    def set_text(self, name: str, value: str) -> None:
        self._tell_dns("/set-txt", {"host": name, "value": value})

    def clear_text(self, name: str) -> None:
        self._tell_dns("/clear-txt", {"host": name})

    def orders(self) -> int:
        """How many certificates it was asked for so far."""
        return self.log.read_text(errors="replace").count('Added order "')

    def root(self) -> bytes:
        """What browsers would have to trust, in PEM."""
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(f"{self.management}/roots/0", context=context) as answer:
            return bytes(answer.read())

    def _tell_dns(self, path: str, what: Mapping[str, Any]) -> None:
        request = urllib.request.Request(f"{self.dns_management}{path}", json.dumps(what).encode())
        urllib.request.urlopen(request, timeout=30).close()


@contextmanager
def serve_issuer(
    folder: Path,
    *,
    http_port: int,
    https_port: int,
    lifetime_seconds: int = 90 * 86400,
    bound: bool = False,
    address: str = "127.0.0.1",
) -> Iterator[Issuer]:
    """One that finds names at these ports of 127.0.0.1. `bound` to accounts that it knows. It and
    its DNS are asked at that `address` of this machine."""
    folder.mkdir(parents=True, exist_ok=True)
    acme, management, dns, dns_management = free_ports(4)
    ca_file, certificate, key = _certificates(folder, {"127.0.0.1", address})
    config = {
        "listenAddress": f"{address}:{acme}",
        "managementListenAddress": f"127.0.0.1:{management}",
        "certificate": str(certificate),
        "privateKey": str(key),
        "httpPort": http_port,
        "tlsPort": https_port,
        "ocspResponderURL": "",
        "certificateValidityPeriod": lifetime_seconds,
        "externalAccountBindingRequired": bound,
        "externalAccountMACKeys": {EAB_KEY_ID: EAB_KEY} if bound else {},
    }
    path = folder / "pebble.json"
    path.write_text(json.dumps({"pebble": config}))
    issuer = Issuer(
        directory=f"https://{address}:{acme}/dir",
        ca_file=ca_file,
        management=f"https://127.0.0.1:{management}",
        dns_server=f"{address}:{dns}",
        dns_management=f"http://127.0.0.1:{dns_management}",
        log=folder / "pebble.log",
    )
    names = [f"-dns01={address}:{dns}", f"-management=127.0.0.1:{dns_management}"]
    nothing = ["-http01=", "-https01=", "-tlsalpn01=", "-defaultIPv6="]
    with ExitStack() as stack:
        _run(stack, ["pebble-challtestsrv", *names, *nothing], folder / "dns.log")
        argv = ["pebble", f"-config={path}", f"-dnsserver={issuer.dns_server}"]
        _run(stack, argv, issuer.log)
        wait_until(lambda: _answers(issuer), "the issuer")
        yield issuer


def _run(stack: ExitStack, argv: list[str], log: Path) -> None:
    output = stack.enter_context(log.open("wb"))
    environment = os.environ | {"PEBBLE_VA_NOSLEEP": "1"}
    process = subprocess.Popen(argv, stdout=output, stderr=subprocess.STDOUT, env=environment)
    stack.callback(process.wait)
    stack.callback(process.kill)


def _answers(issuer: Issuer) -> bool:
    context = ssl.create_default_context(cafile=str(issuer.ca_file))
    try:
        urllib.request.urlopen(issuer.directory, context=context, timeout=10).close()
        issuer.set_address("ready.example.com", "127.0.0.1")
    except OSError:
        return False
    return True


def _certificates(folder: Path, addresses: Iterable[str]) -> tuple[Path, Path, Path]:
    """A CA, and a certificate and key for these addresses."""
    ca_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "CA of a test")])
    now = dt.datetime.now(dt.UTC)

    def made(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(hours=1))
            .not_valid_after(now + dt.timedelta(days=1))
        )

    authority = made(ca_name, ca_key.public_key()).add_extension(
        x509.BasicConstraints(ca=True, path_length=0), critical=True
    )
    here = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    at = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(a)) for a in addresses])
    own = made(here, key.public_key()).add_extension(at, critical=False)
    ca_file, certificate, key_file = (folder / name for name in ("ca.pem", "own.pem", "own.key"))
    pem = serialization.Encoding.PEM
    ca_file.write_bytes(authority.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    certificate.write_bytes(own.sign(ca_key, hashes.SHA256()).public_bytes(pem))
    key_file.write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return ca_file, certificate, key_file


@contextmanager
def serve_dns_requests(issuer: Issuer, address: str = "127.0.0.1") -> Iterator[str]:
    """What lego's provider `httpreq` asks, at this address: it makes and takes away records in the
    issuer's DNS."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.path == "/present":
                issuer.set_text(asked["fqdn"], asked["value"])
            else:
                issuer.clear_text(asked["fqdn"])
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Nothing."""

    server = http.server.ThreadingHTTPServer((address, 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://{address}:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Shown:
    """The certificate that visitors of a name get."""

    serial: int
    names: tuple[str, ...]
    ends: dt.datetime


def certificate_at(port: int, host: str, *, root: bytes) -> Shown | None:
    """None while it is none that a browser would take that trusts the issuer."""
    context = ssl.create_default_context(cadata=root.decode())
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname=host) as tls,
        ):
            found = x509.load_der_x509_certificate(tls.getpeercert(binary_form=True) or b"")
    except OSError:
        return None
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    return Shown(
        found.serial_number,
        tuple(names.get_values_for_type(x509.DNSName)),
        found.not_valid_after_utc,
    )
