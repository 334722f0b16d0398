"""What lies on the disk of certificates, and what Traefik is started with."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from apps.engine.acme import LETS_ENCRYPT, DnsAccount, Issuing, resolvers, storage_name
from apps.engine.data import EngineConfig
from apps.engine.errors import ProxyUnavailable
from apps.engine.issuing_files import IssuingFiles, last_lines
from apps.engine.traefik import Traefik

TOKEN = "it's-a-secret $HOME"
ISSUING = Issuing(
    directory="https://ca.example.com/dir",
    eab_key_id="kid",
    eab_key="c2VjcmV0",
    accounts=(DnsAccount(2, "cloudflare", {"CF_DNS_API_TOKEN": TOKEN}),),
)


@pytest.fixture
def files(tmp_path: Path) -> IssuingFiles:
    found = IssuingFiles(tmp_path, ca_file="")
    found.keep(ISSUING)
    return found


def test_the_static_configuration_has_what_was_told_last(tmp_path: Path) -> None:
    config = EngineConfig(instance="0123abcd", data_dir=tmp_path)
    folder = tmp_path / "traefik" / "acme"
    assert static(config) == resolvers(Issuing(), folder=folder)
    Traefik(config).prepare(ISSUING)
    assert static(config) == resolvers(ISSUING, folder=folder)
    Traefik(config).prepare()
    assert static(config) == resolvers(ISSUING, folder=folder)
    written = tmp_path / "traefik" / "traefik.yml"
    assert written.stat().st_mode & 0o777 == 0o600


def static(config: EngineConfig) -> object:
    _, _, text = Traefik(config)._static_configuration().partition("\ncertificatesResolvers: ")
    found, _ = json.JSONDecoder().raw_decode(text)
    return found


def test_credentials_are_in_no_file_where_mist_starts_traefik(
    files: IssuingFiles, tmp_path: Path
) -> None:
    assert files.environment()["CF_DNS_API_TOKEN"] == TOKEN
    texts = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert texts and not any(TOKEN in text for text in texts)


def test_another_credential_is_noticed_and_the_same_one_is_not(
    files: IssuingFiles, tmp_path: Path
) -> None:
    assert files.has_another_environment()
    files.environment()
    assert not files.has_another_environment()
    again = IssuingFiles(tmp_path, ca_file="")
    assert not again.has_another_environment(), "it was not told yet"
    again.keep(ISSUING)
    assert not again.has_another_environment()
    again.keep(Issuing())
    assert again.has_another_environment()


def test_a_container_reads_its_credentials_from_a_file_of_its_own(
    files: IssuingFiles, tmp_path: Path
) -> None:
    assert files.environment_written_at == 0
    assert files.write_environment() and not files.write_environment()
    assert files.environment_written_at > 0
    assert files.environment_file.stat().st_mode & 0o777 == 0o600
    assert shlex.split(files.environment_file.read_text()) == [f"CF_DNS_API_TOKEN={TOKEN}"]
    files.keep(Issuing())
    assert files.write_environment() and files.environment_file.read_text() == ""


def test_a_private_issuer_is_known_beside_the_public_ones(tmp_path: Path) -> None:
    ca_file = tmp_path / "ca.pem"
    ca_file.write_text("-----BEGIN CERTIFICATE-----\n")
    files = IssuingFiles(tmp_path, ca_file=str(ca_file))
    files.keep(Issuing())
    environment = files.environment()
    assert environment["LEGO_CA_CERTIFICATES"] == str(ca_file) and files.check().ok
    assert environment["LEGO_CA_SYSTEM_CERT_POOL"] == "true"


@pytest.mark.parametrize(("text", "says"), [(None, "cannot be read"), ("x", "no certificates")])
def test_a_private_issuers_file_that_is_none_is_left_out_and_told(
    tmp_path: Path, text: str | None, says: str
) -> None:
    ca_file = tmp_path / "ca.pem"
    if text is not None:
        ca_file.write_text(text)
    files = IssuingFiles(tmp_path, ca_file=str(ca_file))
    files.keep(Issuing())
    assert "LEGO_CA_CERTIFICATES" not in files.environment()
    assert not files.check().ok and says in files.check().says


def test_a_traefik_in_a_container_gets_a_copy_of_what_it_could_not_see(tmp_path: Path) -> None:
    ca_file, home = tmp_path / "ca.pem", tmp_path / "traefik"
    names = set()
    for text in ("-----BEGIN CERTIFICATE-----\n1", "-----BEGIN CERTIFICATE-----\n2"):
        ca_file.write_text(text)
        files = IssuingFiles(home, ca_file=str(ca_file), apart=True)
        home.mkdir(exist_ok=True)
        files.keep(Issuing())
        assert files.write_environment(), "it has to be started anew for another content"
        [line] = [one for one in files.environment_file.read_text().splitlines() if ".pem" in one]
        copy = Path(line.partition("=")[2])
        assert copy.is_relative_to(home / "acme") and copy.read_text() == text
        assert copy.stat().st_mode & 0o777 == 0o600 and files.check().ok
        names.add(copy)
    assert len(names) == 2
    ca_file.unlink()
    assert "below the data directory" in files.check().hint


def test_credentials_that_a_container_needed_go_when_mist_starts_traefik(
    files: IssuingFiles,
) -> None:
    files.write_environment()
    assert TOKEN in shlex.split(files.environment_file.read_text())[0]
    files.environment()
    assert not files.environment_file.exists()


def test_a_storage_that_traefik_cannot_use_is_found(files: IssuingFiles, tmp_path: Path) -> None:
    storage = tmp_path / "acme" / storage_name(LETS_ENCRYPT)
    assert files.issued(LETS_ENCRYPT) == [] and files.check().ok
    files.prepare_storage(LETS_ENCRYPT)
    assert storage.stat().st_mode & 0o777 == 0o600 and files.check().ok
    storage.chmod(0o644)
    assert "read by others" in files.check().says and "chmod 600" in files.check().hint
    storage.chmod(0o600)
    storage.write_text(json.dumps({"mist-http": {"Certificates": None}})[:-3])
    assert files.issued(LETS_ENCRYPT) is None
    assert not files.check().ok and "cannot be read" in files.check().says


def test_only_the_end_of_a_long_log_is_read(tmp_path: Path) -> None:
    log = tmp_path / "traefik.log"
    assert last_lines(log) == []
    log.write_text("x\n" * 3_000_000 + "last\n")
    assert last_lines(log)[-1] == "last" and log.stat().st_size > 5_000_000


def test_what_is_to_be_forgotten_leaves_the_storage_and_traefik_starts_anew(
    files: IssuingFiles, tmp_path: Path
) -> None:
    storage = tmp_path / "acme" / storage_name(LETS_ENCRYPT)
    kept = [{"domain": {"main": "a.example.com"}}, {"domain": {"main": "b.example.com"}}]
    account = {"Email": "ops@example.com"}
    storage.write_text(json.dumps({"mist-http": {"Account": account, "Certificates": kept}}))
    files.forget(LETS_ENCRYPT, [("a.example.com",)])
    left = json.loads(storage.read_text())["mist-http"]
    assert left == {"Account": account, "Certificates": kept[1:]}
    assert storage.stat().st_mode & 0o777 == 0o600
    # Also for who comes after somebody that ended in between.
    again = IssuingFiles(tmp_path, ca_file="")
    assert again.is_forgetting
    again.note_start()
    assert not files.is_forgetting


def test_a_storage_that_cannot_be_read_is_left_as_it_is(
    files: IssuingFiles, tmp_path: Path
) -> None:
    storage = tmp_path / "acme" / storage_name(LETS_ENCRYPT)
    storage.write_text('{"mist-http": {"Certi')
    with pytest.raises(ProxyUnavailable):
        files.forget(LETS_ENCRYPT, [("a.example.com",)])
    assert storage.read_text() == '{"mist-http": {"Certi'
