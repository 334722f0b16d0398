"""What every answer carries, and under which names Mist answers at all."""

from __future__ import annotations

from collections.abc import Callable

from csp.utils import build_policy
from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest, HttpResponse, HttpResponseBase

from apps.accounts.selectors import anyone_exists
from apps.system.planning import is_own_name, name_of

GetResponse = Callable[[HttpRequest], HttpResponseBase]

PERMISSIONS = (
    *("accelerometer=()", "autoplay=()", "camera=()", "display-capture=()", "geolocation=()"),
    *("gyroscope=()", "hid=()", "magnetometer=()", "microphone=()", "midi=()", "payment=()"),
    *("picture-in-picture=()", "serial=()", "usb=()", "xr-spatial-tracking=()"),
    *("clipboard-write=(self)", "fullscreen=(self)"),
    *("publickey-credentials-create=(self)", "publickey-credentials-get=(self)"),
)
"""What a page of Mist may ask of a browser: copying, a full screen and passkeys."""
ALWAYS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": settings.X_FRAME_OPTIONS,
    "Referrer-Policy": settings.SECURE_REFERRER_POLICY,
    "Cross-Origin-Opener-Policy": settings.SECURE_CROSS_ORIGIN_OPENER_POLICY,
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": ", ".join(PERMISSIONS),
    # No cache keeps what one person saw, the browser's own no more than one that others share.
    # Static files and what machines fetch say something else themselves.
    "Cache-Control": "no-store, private",
}
"""Of the OWASP Secure Headers Project, those that Mist sends whatever it answers."""
UNKNOWN_NAME = (
    "Mist does not answer under the name of this address.\n\n"
    "Use the address that ./mist status shows, or the server's IP address. To have it answer\n"
    "here too, set MIST_URL (or MIST_ALLOWED_HOSTS for more names) and start Mist again.\n"
)


def surface_middleware(get_response: GetResponse) -> GetResponse:
    """The outermost but for the content policy: nothing leaves Mist without these headers, and
    nothing is done for a request by a name that is not Mist's.

    The name is checked because a browser believes whoever owns a name: a page of a stranger's
    domain that suddenly leads to this machine (DNS rebinding) would be Mist's own page to it.
    """

    def answer(request: HttpRequest) -> HttpResponseBase:
        response = get_response(request) if _is_for_mist(request) else _refuse()
        return harden(response)

    return answer


def harden(response: HttpResponseBase) -> HttpResponseBase:
    """Add what is missing."""
    for name, value in ALWAYS.items():
        response.headers.setdefault(name, value)
    return response


def harden_alone(response: HttpResponseBase) -> HttpResponseBase:
    """For an answer that no middleware sees: a request that cannot even be read."""
    response.headers.setdefault("Content-Security-Policy", build_policy())
    return harden(response)


def plain_headers() -> dict[str, str]:
    """The same for the web server's own answers."""
    return dict(harden_alone(HttpResponse(content_type="text/plain; charset=utf-8")).headers)


def _is_for_mist(request: HttpRequest) -> bool:
    try:
        name = name_of(request.get_host())
    except DisallowedHost:
        return False
    # Whoever sets a fresh Mist up comes by any name; the secret of the link protects it.
    return is_own_name(name) or not anyone_exists()


def _refuse() -> HttpResponse:
    return HttpResponse(UNKNOWN_NAME, status=400, content_type="text/plain; charset=utf-8")
