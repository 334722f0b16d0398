"""How this Mist is configured, as its settings page shows it: README's table with values.

A secret's value never leaves this module.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings

DEFAULT, ENVIRONMENT, FILE = "default", "environment", "mist.env"
HIDDEN = "••••••••"


@dataclass(frozen=True)
class Setting:
    name: str
    """The environment variable."""
    means: str
    default: str
    attribute: str = ""
    """Where its value is: in Django's settings, or, after `engine.`, in the engine's."""
    unit: str = ""
    secret: bool = False
    zero_is_default: bool = False


@dataclass(frozen=True)
class Configured:
    """One setting with what it is now."""

    setting: Setting
    value: str
    source: str

    @property
    def is_default(self) -> bool:
        return self.source == DEFAULT


def _s(name: str, means: str, default: str, attribute: str = "", **more: Any) -> Setting:
    return Setting(name, means, default, attribute or name, **more)


GROUPS: tuple[tuple[str, str, tuple[Setting, ...]], ...] = (
    ("Addresses", "Where the dashboard and your apps answer.", (
        _s("MIST_URL", "Address of the dashboard in links, and whether it is HTTPS only",
           "chosen under Addresses"),
        _s("MIST_ALLOWED_HOSTS", "More names that the dashboard answers under", "none"),
        _s("MIST_HSTS_SECONDS", "How long browsers insist on HTTPS", "30 days with HTTPS",
           "SECURE_HSTS_SECONDS", unit="s", zero_is_default=True),
        _s("MIST_HSTS_SUBDOMAINS", "Whether they do so below the dashboard's name, too",
           "unless apps live there", "SECURE_HSTS_INCLUDE_SUBDOMAINS"),
        _s("MIST_HSTS_PRELOAD", "Whether browsers may keep it in their own lists",
           "as MIST_HSTS_SUBDOMAINS", "SECURE_HSTS_PRELOAD"),
        _s("MIST_BIND", "Network address that the dashboard and apps listen on", "0.0.0.0"),
        _s("MIST_PORT", "Port of the dashboard", "8080"),
        _s("MIST_BASE_DOMAIN", "Domain below which every app gets a name",
           "chosen under Addresses"),
        _s("MIST_WILDCARD_DNS", "Whose names lead to the address in them, until one is chosen",
           "sslip.io"),
        _s("MIST_PUBLIC_ADDRESSES", "Addresses by which visitors reach this server",
           "those of its interfaces"),
        _s("MIST_ADDRESS_SERVICE", "Who is asked for the address where it has private ones only",
           "nobody"),
        _s("MIST_DNS_SERVERS", "DNS servers that are asked where names lead", "the machine's"),
        _s("MIST_HTTP_PORT", "Port where apps answer", "80"),
        _s("MIST_HTTPS_PORT", "Port where apps answer with HTTPS", "443", "engine.https_port"),
        _s("MIST_PROBE_PORT", "Port of health checks, on 127.0.0.1 only", "8081",
           "engine.probe_port"),
        _s("MIST_PROXY_API_PORT", "Port of Traefik's API, on 127.0.0.1 only", "8082",
           "engine.proxy_api_port"),
        _s("MIST_PROXY_HOST", "Where a Traefik answers that is a container of its own", "none",
           "engine.proxy_host"),
        _s("MIST_ACME_CA_FILE", "Certificates by which an ACME issuer of your own is known",
           "none", "engine.acme_ca_file"),
    )),
    ("Signing in", "How people prove who they are.", (
        _s("MIST_REQUIRE_2FA", "Who needs a second factor: admins or everyone", "nobody"),
        _s("MIST_TRUSTED_PROXIES", "Proxies whose word about a visitor's address and scheme counts",
           "this machine"),
    )),
    ("People", "How they hear from Mist, and what they may take of the server.", (
        _s("EMAIL_URL", "Mail server for password resets and invitations", "none", secret=True),
        _s("MIST_EMAIL_FROM", "Sender of Mist's mail", "mist@localhost"),
        _s("MIST_HOST_PORTS_BELOW_1024",
           "Whether owners may give apps ports of the server below 1024", "false"),
    )),
    ("Deployments", "How much at once, and how long each step may take.", (
        _s("MIST_CONCURRENT_DEPLOYMENTS", "Deployments of different apps at once", "2"),
        _s("MIST_CLONE_TIMEOUT", "Limit of a clone", "600", unit="s"),
        _s("MIST_BUILD_TIMEOUT", "Limit of a build, or a pull", "1800", unit="s"),
        _s("MIST_HEALTH_TIMEOUT", "How long a new version may take to answer", "60", unit="s"),
        _s("MIST_DRAIN_SECONDS", "How long requests to the old version may take to end", "10",
           unit="s"),
        _s("MIST_STOP_TIMEOUT", "How long a container may take to end", "10", unit="s"),
        _s("MIST_KEEP_IMAGES", "Images of replaced versions kept for each app", "5"),
        _s("MIST_KEEP_IMAGES_DAYS", "How long they are kept after they were replaced, 0 for ever",
           "90", unit="days"),
        _s("MIST_PUSH_LIMIT_MB", "Size of one git push to this Mist", "1024", unit="MB"),
        _s("MIST_UPLOAD_LIMIT_MB", "Size of an uploaded archive", "256", unit="MB"),
        _s("MIST_OUTPUT_LOG_MAX_MB", "Output kept of a container that is gone", "10", unit="MB"),
        _s("MIST_BUILD_MEMORY_MB", "Memory that all builds together may use",
           "3/4 of the memory", "engine.build_memory_mb", unit="MB", zero_is_default=True),
        _s("MIST_BUILD_CPUS", "Processor cores that all builds together may use",
           "all but 0.5", "engine.build_cpus", zero_is_default=True),
        _s("MIST_BUILD_CGROUP", "A control group of your own for builds", "Mist's",
           "engine.build_cgroup"),
        _s("MIST_GIT_LOCALHOST", "Whether repositories and registries may be at 127.0.0.1", "false",
           "engine.git_localhost"),
        _s("MIST_NETWORK_POOL", "Addresses of project networks, a /24 each", "10.192.0.0/12",
           "engine.network_pool"),
    )),
    ("Storage and services", "What Mist keeps and what it talks to.", (
        _s("MIST_API_REQUESTS_PER_MINUTE", "Requests that one API token may make", "120",
           unit="a minute"),
        _s("MIST_CLEANUP_HOURS", "Time between clean-ups, 0 for only by hand", "24", unit="h"),
        _s("MIST_BUILD_CACHE_MB", "Build cache that a clean-up leaves in the engine", "5120",
           unit="MB"),
        _s("MIST_AUDIT_DAYS", "How long the audit trail is kept, 0 for ever", "365", unit="days"),
        _s("MIST_DATA_DIR", "Database, keys, logs, mirrors, routes", "/var/lib/mist"),
        _s("DATABASE_URL", "Database", "SQLite in the data directory", "DATABASE"),
        _s("REDIS_URL", "Broker and live messages of a Mist in several processes", "none"),
        _s("DOCKER_HOST", "Socket of the Docker engine", "/var/run/docker.sock",
           "engine.docker_host"),
    )),
    ("Keys and logging", "Keys are kept in the data directory unless they are set.", (
        _s("MIST_SECRET_KEY", "Signs sessions", "made once", "SECRET_KEY", secret=True),
        _s("MIST_ENCRYPTION_KEYS", "Encrypt secrets: the first encrypts, all decrypt",
           "the file encryption.key", secret=True),
        _s("MIST_LOG_LEVEL", "How much Mist writes to its own log", "INFO", "LOG_LEVEL"),
        _s("MIST_DEBUG", "Details of errors on pages. Never on a server that others reach",
           "false", "DEBUG"),
    )),
)  # fmt: skip


def configured() -> list[tuple[str, str, list[Configured]]]:
    """Every group with its settings as they are now."""
    return [
        (name, about, [_configured(setting) for setting in group]) for name, about, group in GROUPS
    ]


def source_of(name: str, *, environment: Mapping[str, str], from_file: frozenset[str]) -> str:
    if name in from_file:
        return FILE
    return ENVIRONMENT if name in environment else DEFAULT


def only_in_environment(environment: Mapping[str, str]) -> list[str]:
    """Settings that this process was given and `mist.env` does not know: a process that is started
    elsewhere would not have them. `MIST_DATA_DIR` says where that file is."""
    names = (setting.name for _, _, group in GROUPS for setting in group)
    return [
        name
        for name in names
        if name != "MIST_DATA_DIR"
        and source_of(name, environment=environment, from_file=frozenset(settings.MIST_FROM_FILE))
        == ENVIRONMENT
    ]


def without_password(url: str) -> str:
    """The address with its password masked."""
    return re.sub(r"(://[^:/@]*:)[^@]*@", rf"\1{HIDDEN}@", url)


def _configured(setting: Setting) -> Configured:
    source = source_of(
        setting.name, environment=os.environ, from_file=frozenset(settings.MIST_FROM_FILE)
    )
    value = HIDDEN if setting.secret else _value(setting)
    return Configured(setting, value or setting.default, source)


def _value(setting: Setting) -> str:
    attribute = setting.attribute
    if attribute == "DATABASE":
        return without_password(os.environ.get("DATABASE_URL", ""))
    if attribute == "LOG_LEVEL":
        return logging.getLevelName(logging.getLogger("mist").level)
    if attribute.startswith("engine."):
        value = getattr(settings.MIST_ENGINE_CONFIG, attribute.removeprefix("engine."))
    else:
        value = getattr(settings, attribute)
    if setting.zero_is_default and not value:
        return ""
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:g}" if isinstance(value, float) else without_password(str(value))
    return f"{text} {setting.unit}".strip()
