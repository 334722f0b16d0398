"""Addresses of the pages about API tokens."""

from __future__ import annotations

from django.urls import path

from apps.api import token_views

urlpatterns = [
    path("account/tokens/", token_views.account_tokens, name="account_tokens"),
    path(
        "account/tokens/<int:pk>/revoke/",
        token_views.account_token_revoke,
        name="account_token_revoke",
    ),
    path("tokens/", token_views.tokens, name="tokens"),
    path("tokens/<int:pk>/revoke/", token_views.token_revoke_any, name="token_revoke"),
]
