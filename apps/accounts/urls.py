"""Addresses of log-in, of one's own account, of users and of invitations."""

from __future__ import annotations

from django.urls import path

from apps.accounts import (
    factor_views,
    invitation_views,
    login_views,
    password_views,
    people_views,
    session_views,
    views,
)

urlpatterns = [
    path("login/", login_views.login, name="login"),
    path("login/code/", login_views.login_code, name="login_code"),
    path("login/passkey/", login_views.login_passkey, name="login_passkey"),
    path("login/passkey/options/", login_views.passkey_challenge, name="passkey_challenge"),
    path("logout/", login_views.logout, name="logout"),
    path("reauthenticate/", session_views.reauthenticate, name="reauthenticate"),
    path("password/", password_views.password_forget, name="password_forget"),
    path("password/<str:uid>/<str:token>/", password_views.password_reset, name="password_reset"),
    path("account/", views.account, name="account"),
    path("account/theme/", views.theme, name="theme"),
    path("account/shortcuts/", views.shortcuts, name="shortcuts"),
    path("account/sessions/end/", session_views.sessions_stop, name="sessions_end"),
    path("account/sessions/<int:pk>/end/", session_views.session_stop, name="session_end"),
    path("account/two-factor/", factor_views.two_factor, name="two_factor"),
    path("account/two-factor/app/", factor_views.totp_new, name="totp_add"),
    path("account/two-factor/app/remove/", factor_views.totp_remove, name="totp_remove"),
    path("account/two-factor/codes/", factor_views.recovery_codes, name="recovery_codes"),
    path("account/two-factor/passkey/", factor_views.passkey_new, name="passkey_add"),
    path(
        "account/two-factor/passkey/options/",
        factor_views.passkey_new_options,
        name="passkey_new_options",
    ),
    path(
        "account/two-factor/passkeys/<int:pk>/remove/",
        factor_views.passkey_remove,
        name="passkey_remove",
    ),
    path("users/", people_views.users, name="users"),
    path("users/<int:user>/", people_views.user, name="user"),
    path("users/<int:user>/deactivate/", people_views.user_deactivate, name="user_deactivate"),
    path("users/<int:user>/activate/", people_views.user_activate, name="user_activate"),
    path("users/<int:user>/delete/", people_views.user_delete, name="user_delete"),
    path("users/invitations/", invitation_views.invitations, name="invitations"),
    path(
        "users/invitations/<int:invitation>/revoke/",
        invitation_views.invitation_take_back,
        name="invitation_revoke",
    ),
    path("join/", invitation_views.invitation_join, name="invitation_join"),
    path("join/<str:token>/", invitation_views.invitation, name="invitation"),
]
