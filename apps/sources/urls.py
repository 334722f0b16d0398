"""Addresses of where apps come from."""

from __future__ import annotations

from django.urls import path

from apps.sources import views

APP = "projects/<slug:project>/apps/<slug:app>/"

urlpatterns = [
    path(f"{APP}source/", views.app_source, name="app_source"),
]
