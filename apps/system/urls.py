"""Addresses of the dashboard and of Mist itself."""

from __future__ import annotations

from django.urls import path

from apps.system import address_views, views

urlpatterns = [
    path("", views.dashboard, name="dashboard"),
    path("setup/<str:token>/", views.setup, name="setup"),
    path("healthz/", views.healthz, name="healthz"),
    path("demo/", views.demo, name="demo_start"),
    path("samples/<str:name>.git/<path:rest>", views.sample_repository, name="sample_repository"),
    path("search/", views.search, name="search"),
    path("settings/", views.instance_settings, name="settings"),
    path("settings/addresses/", address_views.addresses, name="addresses"),
    path("settings/addresses/dashboard/", address_views.dashboard_name, name="dashboard_name"),
    path(
        "settings/addresses/certificate/",
        address_views.dashboard_certificate,
        name="dashboard_certificate",
    ),
    path(
        "settings/addresses/confirm/<str:token>/",
        address_views.dashboard_confirm,
        name="dashboard_confirm",
    ),
    path("settings/addresses/check/", address_views.base_name_check, name="base_name_check"),
    path("palette/", views.palette, name="palette"),
]
