"""Pages of API tokens: one's own, and for admins those of everybody."""

from __future__ import annotations

from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe

from apps.accounts.models import InstanceRole, User
from apps.api.forms import TokenForm
from apps.api.models import ApiToken, TokenState
from apps.api.selectors import revocable_by, tokens_of, tokens_visible_to
from apps.api.services import NewToken, token_create, token_revoke
from apps.projects.access import allow
from apps.projects.confirmation import Question, ask
from apps.system.planning import dashboard_url

ROWS = 50
MINE = ("API tokens", "account_tokens")
ALL = ("API tokens", "tokens")


def _crumbs(*, mine: bool, last: str = "") -> list[tuple[str, str | None]]:
    above = ("Account", reverse("account")) if mine else ("Settings", reverse("settings"))
    label, name = MINE if mine else ALL
    crumbs: list[tuple[str, str | None]] = [above, (label, reverse(name) if last else None)]
    return [*crumbs, (last, None)] if last else crumbs


@allow(InstanceRole.MEMBER, sudo="write")
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def account_tokens(request: HttpRequest) -> HttpResponse:
    """One's own tokens. The answer to making one shows its secret: the only page that ever does,
    at an address that says nothing and is never kept. No redirect: the secret would have to wait
    somewhere meanwhile."""
    user = cast(User, request.user)
    form = TokenForm(request.POST if request.method == "POST" else None, user=user)
    new: NewToken | None = None
    if form.is_valid():
        new = token_create(user=user, **form.settings())
        form = TokenForm(user=user)
    context: dict[str, Any] = {
        "title": "API tokens",
        "crumbs": _crumbs(mine=True),
        "nav": "account",
        "form": form,
        "new": new,
        "page": Paginator(tokens_of(user), ROWS).get_page(request.GET.get("page")),
        "deploy_at": _deploy_address(new),
    }
    return render(request, "account_tokens.html", context)


def _deploy_address(new: NewToken | None) -> str:
    """For the example: of the token's own project where it has one."""
    project = new.token.project.slug if new and new.token.project else "PROJECT"
    return f"{dashboard_url()}/api/v1/apps/{project}/APP/deploy"


@allow(InstanceRole.MEMBER)
@require_http_methods(["GET", "HEAD", "POST"])
def account_token_revoke(request: HttpRequest, pk: int) -> HttpResponse:
    found = get_object_or_404(tokens_of(cast(User, request.user)), pk=pk)
    return _revoke(request, found, mine=True)


@allow(InstanceRole.ADMIN)
@require_safe
def tokens(request: HttpRequest) -> HttpResponse:
    """Everybody's, without a secret: there is none to show."""
    user = cast(User, request.user)
    page = Paginator(tokens_visible_to(user), ROWS).get_page(request.GET.get("page"))
    revocable = ApiToken.objects.filter(revocable_by(user), pk__in=[t.pk for t in page])
    context = {
        "title": "API tokens",
        "crumbs": _crumbs(mine=False),
        "nav": "settings",
        "page": page,
        "revocable": set(revocable.values_list("pk", flat=True)),
    }
    return render(request, "tokens.html", context)


@allow(InstanceRole.ADMIN)
@require_http_methods(["GET", "HEAD", "POST"])
def token_revoke_any(request: HttpRequest, pk: int) -> HttpResponse:
    user = cast(User, request.user)
    found = get_object_or_404(tokens_visible_to(user), pk=pk)
    if not ApiToken.objects.filter(revocable_by(user), pk=pk).exists():
        raise PermissionDenied("Only an owner may revoke the token of an owner.")
    return _revoke(request, found, mine=False)


def _revoke(request: HttpRequest, token: ApiToken, *, mine: bool) -> HttpResponse:
    name = MINE[1] if mine else ALL[1]
    if request.method != "POST" and token.state is not TokenState.REVOKED:
        whose = "" if mine else f" of {token.user}"
        question = Question(
            heading=f"Revoke {token.name}?",
            text=f"Whatever uses the token {token.prefix}…{whose} is refused from its next request "
            "on. This cannot be undone; a new token can be made.",
            button="Revoke token",
            back=reverse(name),
            keep="Keep token",
        )
        frame = {"crumbs": _crumbs(mine=mine, last="Revoke"), "nav": "account" if mine else name}
        return ask(request, question, frame)
    if token_revoke(token=token, by=cast(User, request.user)):
        messages.success(request, f"{token.name} was revoked.")
    else:
        messages.info(request, f"{token.name} was revoked already.")
    return redirect(name)
