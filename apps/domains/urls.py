"""Addresses of an app's host names."""

from __future__ import annotations

from django.urls import path

from apps.domains import views

APP = "projects/<slug:project>/apps/<slug:app>/"

urlpatterns = [
    path(f"{APP}domains/", views.app_domains, name="app_domains"),
    path(f"{APP}domains/<int:pk>/delete/", views.domain_delete, name="domain_delete"),
]
