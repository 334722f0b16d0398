"""Addresses of log-in, of one's own account, of users and of invitations."""

from __future__ import annotations

from django.urls import path

from apps.accounts import invitation_views, people_views, views

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("account/", views.account, name="account"),
    path("account/theme/", views.theme, name="theme"),
    path("account/shortcuts/", views.shortcuts, name="shortcuts"),
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
