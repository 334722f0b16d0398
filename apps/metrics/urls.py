"""Addresses of charts and their numbers."""

from __future__ import annotations

from django.urls import path

from apps.metrics import views

APP = "projects/<slug:project>/apps/<slug:app>/"

urlpatterns = [
    path("server/", views.server, name="server"),
    path("server/data/", views.server_data, name="server_data"),
    path("server/row/", views.server_row, name="server_row"),
    path(f"{APP}metrics/", views.app_metrics, name="app_metrics"),
    path(f"{APP}metrics/data/", views.app_metrics_data, name="app_metrics_data"),
    path(f"{APP}metrics/usage/", views.app_usage, name="app_usage"),
]
