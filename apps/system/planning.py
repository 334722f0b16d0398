"""Addresses of Mist itself. None is ever taken from a request's Host header."""

from __future__ import annotations

from django.conf import settings
from django.urls import reverse

from apps.engine.host import own_address

WEB_HOST = "mist-web"
"""What `compose.yaml` calls the containers of the pages, in the network that only parts are in."""


def dashboard_url() -> str:
    """`MIST_URL`, else this machine's address and `MIST_PORT`. Without a slash at the end."""
    if settings.MIST_URL:
        return str(settings.MIST_URL)
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


def setup_link(token: str) -> str:
    """The address under which the first administrator is made, once."""
    return f"{dashboard_url()}{reverse('setup', args=[token])}"
