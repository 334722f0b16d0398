"""Addresses of Mist itself. No link is ever made from a request's Host header."""

from __future__ import annotations

import functools
import ipaddress
import socket
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from django.urls import reverse

from apps.engine.data import WEB_HOST
from apps.engine.host import own_address
from apps.projects.https_models import origin
from apps.system.names import base_domain, chosen_names, dashboard_names


def dashboard_url() -> str:
    """`MIST_URL`, else the name that was chosen, by HTTPS while its visitors are sent on there,
    else this machine's address and `MIST_PORT`. Without a slash at the end."""
    if settings.MIST_URL:
        return str(settings.MIST_URL)
    names = chosen_names()
    if names.dashboard:
        return origin(names.dashboard, https=names.is_sent_on)
    bind = settings.MIST_BIND
    if bind in ("", "0.0.0.0", "::"):
        host = own_address()
    else:
        host = f"[{bind}]" if ":" in bind else bind
    return f"http://{host}" + ("" if settings.MIST_PORT == 80 else f":{settings.MIST_PORT}")


def local_url() -> str:
    """Where this machine itself, or another part of this Mist, reaches Mist's pages."""
    bind = settings.MIST_BIND
    host = "127.0.0.1" if bind in ("", "0.0.0.0", "::") else bind
    if settings.MIST_ENGINE_CONFIG.proxy_host:
        host = WEB_HOST
    return (
        f"http://[{host}]:{settings.MIST_PORT}"
        if ":" in host
        else (f"http://{host}:{settings.MIST_PORT}")
    )


def push_url(project: str, app: str) -> str:
    """Where the code of an app is pushed to that comes from this Mist itself."""
    return f"{dashboard_url()}/git/{project}/{app}.git"


def setup_link(token: str) -> str:
    """The address under which the first administrator is made, once."""
    return f"{dashboard_url()}{reverse('setup', args=[token])}"


# ----------------------------------------------------------------- names that Mist answers under


def name_of(host: str) -> str:
    """The name or address in a Host header, in lower case, without port; '' for none."""
    return split_domain_port(host)[0]


def is_own_name(name: str) -> bool:
    """Whether a request by this name (of `name_of`) is meant for Mist.

    An IP address always is: no page of another site can have it for its name. So is what the
    settings name, what this machine calls itself, and the name by which Mist was set up.
    """
    if not name:
        return False
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return validate_host(name, own_names())
    return True


def own_names() -> list[str]:
    """Host names, one with a dot in front for everything below it too."""
    named = urlsplit(settings.MIST_URL).hostname if settings.MIST_URL else None
    within = [WEB_HOST] if settings.MIST_ENGINE_CONFIG.proxy_host else []
    return [
        *settings.MIST_ALLOWED_HOSTS,
        *filter(None, [named, base_domain(), _set_up_name()]),
        *within,
        *dashboard_names(),
        *_machine_names(),
    ]


def remember_name(host: str) -> None:
    """Keep the name by which somebody with the secret of the set-up link came to Mist."""
    name = name_of(host)
    if name and not is_own_name(name):
        _name_file().write_text(f"{name}\n")


def _name_file() -> Path:
    return Path(settings.MIST_DATA_DIR) / "setup-name"


def _set_up_name() -> str:
    try:
        return _name_file().read_text().strip()
    except OSError:
        return ""


@functools.cache
def _machine_names() -> tuple[str, ...]:
    name = socket.gethostname().lower()
    return ("localhost", name, *([] if "." in name else [f"{name}.local"]))


def is_own_origin(origin: str, *, scheme: str, host: str) -> bool:
    """Whether an Origin header names the site that the Host header and scheme do, or `MIST_URL`.
    Scheme, host and port all count; no header, `null` and what cannot be read are no origin."""
    given = _site(origin)
    return (
        given is not None
        and is_own_name(name_of(host))
        and (given in (_site(f"{scheme}://{host}"), _site(settings.MIST_URL)))
    )


def _site(address: str) -> tuple[str, str, int] | None:
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        return None
    usual = {"http": 80, "https": 443}.get(parts.scheme)
    if usual is None or not parts.hostname or parts.username is not None:
        return None
    return parts.scheme, parts.hostname, usual if port is None else port
