"""The table of DNS providers against what Traefik itself asks for."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from apps.engine.acme import DnsAccount, Issuing, environment, resolvers
from apps.engine.acme_outcomes import Refusal, refusals
from apps.engine.acme_problems import kind_of
from apps.engine.bench import free_ports
from apps.engine.dns_providers import PROVIDERS
from apps.engine.traefik_process import find_traefik
from tests.machine.pebble import Issuer, serve_issuer
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
CODES = sorted(PROVIDERS)


@pytest.fixture(scope="module")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Issuer]:
    http_port, https_port = free_ports(2)
    folder = tmp_path_factory.mktemp("issuer")
    with serve_issuer(folder, http_port=http_port, https_port=https_port) as found:
        yield found


@contextmanager
def asking(
    issuer: Issuer, folder: Path, variables: Mapping[str, Mapping[str, str]]
) -> Iterator[Path]:
    """Traefik, with a name to prove by each provider; yields its log."""
    (port,) = free_ports(1)
    dynamic, acme = folder / "dynamic", folder / "acme"
    for one in (dynamic, acme):
        one.mkdir()
    servers = (issuer.dns_server,)
    accounts = tuple(DnsAccount(n, code, variables[code], servers) for n, code in enumerate(CODES))
    issuing = Issuing(directory=issuer.directory, accounts=accounts)
    ways = resolvers(issuing, folder=acme)
    static = {
        "log": {"level": "WARN", "format": "json"},
        "entryPoints": {"websecure": {"address": f"127.0.0.1:{port}"}},
        "providers": {"file": {"directory": str(dynamic)}},
        "certificatesResolvers": {one.resolver: ways[one.resolver] for one in accounts},
    }
    routers = {
        f"r{one.number}": {
            "entryPoints": ["websecure"],
            "rule": f"Host(`r{one.number}.example.com`)",
            "service": "noop@internal",
            "tls": {
                "certResolver": one.resolver,
                "domains": [{"main": f"*.{one.provider}.example.com"}],
            },
        }
        for one in accounts
    }
    (folder / "traefik.yml").write_text(json.dumps(static))
    (dynamic / "all.yml").write_text(json.dumps({"http": {"routers": routers}}))
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_EC2_METADATA_DISABLED": "true"}
    # Nobody outside is reached: what a provider does first is to look up its own address.
    env |= {"HTTPS_PROXY": "http://127.0.0.1:9", "NO_PROXY": "127.0.0.1"}
    env |= environment(issuing, folder=acme, ca_file=str(issuer.ca_file))
    log = folder / "traefik.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [find_traefik(), f"--configfile={folder / 'traefik.yml'}"],
            env=env, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            yield log
        finally:
            process.kill()
            process.wait()


def outcome(log: Path) -> dict[str, Refusal]:
    """Provider → what became of its name first."""
    said = refusals(log.read_text().splitlines(), since=dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
    return {one.hosts[0].split(".")[1]: one for one in reversed(said)}


def test_traefik_knows_each_provider_and_misses_what_the_table_has(
    issuer: Issuer, tmp_path: Path
) -> None:
    with asking(issuer, tmp_path, {code: {} for code in CODES}) as log:
        wait_until(lambda: len(outcome(log)) == len(CODES), "an answer for each", seconds=240)
        found = outcome(log)
    for code, refusal in found.items():
        assert "unrecognized" not in refusal.detail, code
        needed = {one.name for one in PROVIDERS[code].variables if one.is_needed}
        missing = set(re.findall(r"\b[A-Z][A-Z0-9]+(?:_[A-Z0-9]+)+\b", refusal.detail))
        if "information are missing" in refusal.detail and code != "cloudflare":
            assert missing <= needed, (code, missing)
            assert refusal.kind == "credentials" == kind_of(refusal.detail)


def test_with_all_that_the_table_asks_for_no_provider_misses_anything(
    issuer: Issuer, tmp_path: Path
) -> None:
    given = {code: {one.name: value_of(one.name) for one in PROVIDERS[code].variables if one.is_needed} for code in CODES}  # fmt: skip
    with asking(issuer, tmp_path, given) as log:
        # Some providers try for minutes to reach their own address.
        wait_until(lambda: len(outcome(log)) >= len(CODES) - 4, "most answers", seconds=600)
        found = outcome(log)
    wrong = {code: one.detail for code, one in found.items() if "missing" in one.detail}
    assert wrong == {}


def value_of(name: str) -> str:
    special = {
        "OVH_ENDPOINT": "ovh-eu",
        "GCE_SERVICE_ACCOUNT": json.dumps({"type": "service_account", "project_id": "p", "private_key": "x", "client_email": "a@b.example", "token_uri": "http://127.0.0.1:9"}),
        "DNSUPDATE_NAMESERVER": "127.0.0.1:9",
        "IONOS_API_KEY": "prefix.secret",
        "SCW_SECRET_KEY": "00000000-0000-0000-0000-000000000002",
        "AZURE_TENANT_ID": "00000000-0000-0000-0000-000000000001",
    }  # fmt: skip
    if name in special:
        return special[name]
    return "http://127.0.0.1:9" if re.search("URL|BASE|ENDPOINT", name) else "given-value"
