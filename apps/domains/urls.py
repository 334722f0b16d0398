"""Addresses of an app's host names."""

from __future__ import annotations

from django.urls import path

from apps.domains import views

DOMAINS = "projects/<slug:project>/apps/<slug:app>/domains/"

urlpatterns = [
    path(DOMAINS, views.app_domains, name="app_domains"),
    path(f"{DOMAINS}<int:pk>/", views.domain, name="domain"),
    path(f"{DOMAINS}<int:pk>/move/", views.domain_move, name="domain_move"),
    path(f"{DOMAINS}<int:pk>/delete/", views.domain_delete, name="domain_delete"),
]
