"""Addresses of projects, apps and what belongs to them."""

from __future__ import annotations

from django.urls import path

from apps.projects import app_views, holding_views, member_views, variable_views, views

APP = "projects/<slug:project>/apps/<slug:app>/"
SHARED = "projects/<slug:project>/variables/"

urlpatterns = [
    path("projects/", views.project_list, name="project_list"),
    path("new-project/", views.project_new, name="project_new"),
    path("projects/<slug:project>/", views.project, name="project"),
    path("projects/<slug:project>/delete/", views.project_delete, name="project_delete"),
    path("projects/<slug:project>/new-app/", views.app_new, name="app_new"),
    path("projects/<slug:project>/members/", member_views.members, name="members"),
    path(
        "projects/<slug:project>/members/<int:member>/role/",
        member_views.member_role,
        name="member_role",
    ),
    path(
        "projects/<slug:project>/members/<int:member>/remove/",
        member_views.member_take_out,
        name="member_remove",
    ),
    path(
        "projects/<slug:project>/members/invitations/<int:invitation>/revoke/",
        member_views.member_invitation_take_back,
        name="member_invitation_revoke",
    ),
    path("projects/<slug:project>/leave/", member_views.project_leave, name="project_leave"),
    path(
        "projects/<slug:project>/transfer/", member_views.project_hand_on, name="project_transfer"
    ),
    path(SHARED, variable_views.project_variables, name="project_variables"),
    path(f"{SHARED}save/", variable_views.shared_variable_save, name="shared_variable_save"),
    path(
        f"{SHARED}<int:pk>/reveal/",
        variable_views.shared_variable_reveal,
        name="shared_variable_reveal",
    ),
    path(
        f"{SHARED}<int:pk>/delete/",
        variable_views.shared_variable_delete,
        name="shared_variable_delete",
    ),
    path(APP, app_views.app, name="app"),
    path(f"{APP}environment/", app_views.app_environment, name="app_environment"),
    path(f"{APP}environment/save/", app_views.variable_save, name="variable_save"),
    path(f"{APP}environment/paste/", app_views.environment_paste, name="environment_paste"),
    path(f"{APP}environment/export/", variable_views.environment_export, name="environment_export"),
    path(f"{APP}environment/<int:pk>/reveal/", app_views.variable_reveal, name="variable_reveal"),
    path(f"{APP}environment/<int:pk>/delete/", app_views.variable_delete, name="variable_delete"),
    path(f"{APP}settings/", app_views.app_settings, name="app_settings"),
    path(f"{APP}settings/volumes/add/", holding_views.volume_add, name="volume_add"),
    path(
        f"{APP}settings/volumes/<int:pk>/remove/",
        holding_views.volume_remove,
        name="volume_remove",
    ),
    path(f"{APP}settings/ports/add/", holding_views.host_port_add, name="host_port_add"),
    path(
        f"{APP}settings/ports/<int:pk>/remove/",
        holding_views.host_port_remove,
        name="host_port_remove",
    ),
    path(f"{APP}delete/", app_views.app_delete, name="app_delete"),
]
