"""Addresses of deployments, of what makes an app run, and of its logs."""

from __future__ import annotations

from django.urls import path

from apps.deployments import log_views, output_views, release_views, views

APP = "projects/<slug:project>/apps/<slug:app>/"
ONE = f"{APP}deployments/<int:number>/"

urlpatterns = [
    path("deployments/", views.deployment_list, name="deployment_list"),
    path(f"{APP}deployments/", views.app_deployments, name="app_deployments"),
    path(f"{APP}deploy/", views.app_deploy, name="app_deploy"),
    path(f"{APP}apply/", views.app_apply, name="app_apply"),
    path(f"{APP}stop/", views.app_stop, name="app_stop"),
    path(f"{APP}start/", views.app_start, name="app_start"),
    path(f"{APP}restart/", views.app_restart, name="app_restart"),
    path(f"{APP}logs/", output_views.app_logs, name="app_logs"),
    path(f"{APP}logs/chunk/", output_views.app_logs_chunk, name="app_logs_chunk"),
    path(f"{APP}logs/text/", output_views.app_logs_text, name="app_logs_text"),
    path(ONE, views.deployment, name="deployment"),
    path(f"{ONE}rollback/", release_views.deployment_rollback, name="deployment_rollback"),
    path(f"{ONE}pin/", release_views.deployment_pin, name="deployment_pin"),
    path(f"{ONE}cancel/", views.deployment_cancel, name="deployment_cancel"),
    path(f"{ONE}log.txt", log_views.deployment_log_text, name="deployment_log_text"),
    path(f"{ONE}log/search/", log_views.deployment_log_search, name="deployment_log_search"),
    path(f"{ONE}log/", log_views.deployment_log_chunk, name="deployment_log_chunk"),
]
