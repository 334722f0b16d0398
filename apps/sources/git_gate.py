"""Who may fetch from and push to `/git/<project>/<app>.git`: an API token is git's password."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.http import HttpRequest
from django.views.decorators.debug import sensitive_variables

from apps.accounts.client import client_address
from apps.accounts.limits import Rule, address_of, take
from apps.api.limits import seconds_to_wait
from apps.api.models import ApiToken, Scope
from apps.api.selectors import apps_reachable_with, token_by_secret
from apps.api.services import token_note_use
from apps.audit.models import ActorKind
from apps.audit.trail import Actor
from apps.projects.access import access_of, refusal
from apps.projects.models import App, ProjectRole
from apps.projects.source_models import SourceKind
from apps.system.planning import dashboard_url, is_own_name, name_of

PREFIX = "/git/"
RECEIVE = "git-receive-pack"
UPLOAD = "git-upload-pack"
WRONG_TOKENS = Rule("git-token", 30, 10)
"""Of one address. Nobody guesses 256 bits; this keeps the log and the database quiet."""
CHALLENGE = {"WWW-Authenticate": 'Basic realm="Mist", charset="UTF-8"'}

_ADDRESS = re.compile(
    r"/git/(?P<project>[a-z0-9-]{1,40})/(?P<app>[a-z0-9-]{1,40})\.git"
    rf"/(?P<rest>info/refs|{UPLOAD}|{RECEIVE})"
)


class Refused(Exception):
    """A request that ends here: an HTTP status, and words that git shows after `remote:`."""

    def __init__(self, status: int, words: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(words)
        self.status, self.words, self.headers = status, words, dict(headers or {})


@dataclass(frozen=True)
class Entry:
    """A request that may go on."""

    app: App
    token: ApiToken
    actor: Actor
    service: str
    """`git-upload-pack` to fetch, `git-receive-pack` to push."""
    lists_refs: bool
    """Whether it asks for the branches there are, which comes first."""


def enter(request: HttpRequest, *, counts: bool = True) -> Entry:
    """Who asks, and for what. Cookies are not looked at. Raises `Refused`.

    Without `counts` the token's allowance is left as it is: the same request is asked about again.
    """
    try:
        known = is_own_name(name_of(request.get_host()))
    except DisallowedHost:
        known = False
    if not known:
        raise Refused(400, "Mist does not answer under the name of this address.")
    if settings.SECURE_SSL_REDIRECT and not request.is_secure():
        raise Refused(
            403, f"This Mist takes pushes over HTTPS only: {dashboard_url()}{request.path}"
        )
    found = _ADDRESS.fullmatch(request.path)
    service = found["rest"] if found else ""
    if lists := service == "info/refs":
        service = request.GET.get("service", "")
    if found is None or service not in (UPLOAD, RECEIVE):
        raise Refused(404, "There is no repository here.")
    if request.method not in (("GET", "HEAD") if lists else ("POST",)):
        raise Refused(405, "Git does not ask so.", {"Allow": "GET" if lists else "POST"})
    token = _token_of(request)
    if counts:
        if wait := seconds_to_wait(token):
            raise Refused(
                429,
                f"This token has used up its requests. The next one may come in {wait} s.",
                {"Retry-After": str(wait)},
            )
        token_note_use(token=token, address=client_address(request))
    app = _app_of(token, found["project"], found["app"], service)
    return Entry(app, token, _actor(request, token), service, lists)


def _token_of(request: HttpRequest) -> ApiToken:
    secret = _password(request)
    if not secret:
        raise Refused(401, "Git asks for a password: it is an API token of yours.", CHALLENGE)
    token = token_by_secret(secret)
    if token is not None:
        return token
    if wait := take(address_of(request, WRONG_TOKENS)):
        words = f"Too many wrong tokens. Try again in {wait} s."
        raise Refused(429, words, {"Retry-After": str(wait)})
    raise Refused(
        401,
        "The token is unknown, expired or revoked, or its person may not log in any more. "
        "Make one on your account's page API tokens.",
        CHALLENGE,
    )


@sensitive_variables("header", "text", "password")
def _password(request: HttpRequest) -> str:
    """The password of `Authorization: Basic …` (RFC 7617); the user may have any name."""
    header = request.headers.get("Authorization", "")
    scheme, _, text = header.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        _, _, password = base64.b64decode(text.strip(), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return ""
    return password


def _app_of(token: ApiToken, project: str, name: str, service: str) -> App:
    """What the token may not see is not there, as everywhere."""
    apps = apps_reachable_with(token)
    app = apps.filter(project__slug=project, slug=name).first()
    if app is None:
        raise Refused(404, "There is no such app, or this token may not see it.")
    pushes = service == RECEIVE
    if pushes and not token.may(Scope.DEPLOY):
        raise Refused(403, f"This needs a token with the scope {Scope.DEPLOY.value}.")
    need = ProjectRole.DEVELOPER if pushes else ProjectRole.VIEWER
    if not access_of(token.user, project).allows(need):
        raise Refused(403, refusal(need))
    if app.source_kind != SourceKind.MIST:
        raise Refused(
            403,
            f"{app} does not come from here. Choose “{SourceKind.MIST.label}” on its tab Source "
            "first.",
        )
    return app


def _actor(request: HttpRequest, token: ApiToken) -> Actor:
    return Actor(
        ActorKind.TOKEN,
        token.user_id,
        str(token.user),
        via=str(token),
        address=client_address(request),
        agent=request.headers.get("User-Agent", ""),
        request_id=str(uuid.uuid4()),
    )
