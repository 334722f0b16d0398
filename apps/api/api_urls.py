"""Addresses of the API. A namespace of its own: what walks every address tells them apart by it."""

from __future__ import annotations

from django.urls import path

from apps.api import views

app_name = "api"
APP = "v1/apps/<slug:project>/<slug:app>"
ONE = f"{APP}/deployments/<int:number>"

urlpatterns = [
    path("v1/openapi.json", views.openapi, name="openapi"),
    path("v1/token", views.token, name="token"),
    path("v1/apps", views.app_list, name="app_list"),
    path(APP, views.app, name="app"),
    path(f"{APP}/deploy", views.app_deploy, name="app_deploy"),
    path(f"{APP}/restart", views.app_restart, name="app_restart"),
    path(f"{APP}/deployments", views.deployment_list, name="deployment_list"),
    path(ONE, views.deployment, name="deployment"),
    path(f"{ONE}/cancel", views.deployment_cancel, name="deployment_cancel"),
    path(f"{ONE}/rollback", views.deployment_rollback, name="deployment_rollback"),
]
