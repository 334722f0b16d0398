"""Addresses of log-in and of one's own account."""

from __future__ import annotations

from django.urls import path

from apps.accounts import views

urlpatterns = [
    path("login/", views.login, name="login"),
    path("logout/", views.logout, name="logout"),
    path("account/", views.account, name="account"),
    path("account/theme/", views.theme, name="theme"),
    path("account/shortcuts/", views.shortcuts, name="shortcuts"),
]
