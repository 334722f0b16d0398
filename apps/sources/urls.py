"""Addresses of where apps come from, and of hooks."""

from __future__ import annotations

from django.urls import path

from apps.sources import (
    credential_views,
    delivery_views,
    github_views,
    hook_views,
    picker_views,
    registry_views,
    upload_views,
    views,
    webhooks,
)

PROJECT = "projects/<slug:project>/"
APP = f"{PROJECT}apps/<slug:app>/"

ACCESS = f"{APP}source/access/"

REGISTRIES = "projects/<slug:project>/registries/"

urlpatterns = [
    path(REGISTRIES, registry_views.registries, name="registries"),
    path(f"{REGISTRIES}<int:pk>/test/", registry_views.registry_test, name="registry_test"),
    path(f"{REGISTRIES}<int:pk>/remove/", registry_views.registry_remove, name="registry_remove"),
    path(f"{APP}source/image/check/", registry_views.image_check, name="image_check"),
    path(f"{APP}source/", views.app_source, name="app_source"),
    path(f"{APP}source/upload/", upload_views.app_upload, name="app_upload"),
    path(f"{ACCESS}token/", credential_views.git_token_save, name="git_token_save"),
    path(f"{ACCESS}key/", credential_views.deploy_key_make, name="deploy_key_make"),
    path(f"{ACCESS}remove/", credential_views.git_credential_remove, name="git_credential_remove"),
    path(f"{ACCESS}test/", credential_views.access_test, name="access_test"),
    path(f"{ACCESS}hosts/ask/", credential_views.host_key_ask, name="host_key_ask"),
    path(f"{ACCESS}hosts/confirm/", credential_views.host_key_confirm, name="host_key_confirm"),
    path(
        f"{ACCESS}hosts/<int:pk>/remove/",
        credential_views.host_key_remove,
        name="host_key_remove",
    ),
    path(
        f"{APP}source/webhooks/<slug:kind>/secret/",
        hook_views.webhook_secret,
        name="webhook_secret",
    ),
    path(
        f"{APP}source/webhooks/<slug:kind>/delete/",
        hook_views.webhook_delete,
        name="webhook_delete",
    ),
    path(f"{APP}source/deploy-hooks/", hook_views.deploy_hook_create, name="deploy_hook_create"),
    path(
        f"{APP}source/deploy-hooks/<int:pk>/revoke/",
        hook_views.deploy_hook_revoke,
        name="deploy_hook_revoke",
    ),
    path(f"{PROJECT}deliveries/", delivery_views.delivery_list, name="delivery_list"),
    path(f"{PROJECT}deliveries/<int:pk>/", delivery_views.delivery, name="delivery"),
    path(
        f"{PROJECT}deliveries/<int:pk>/replay/",
        delivery_views.delivery_replay_view,
        name="delivery_replay",
    ),
    path("hooks/deploy/<str:secret>", webhooks.deploy_hook, name="deploy_hook"),
    path(
        "hooks/github-app/<str:public_id>", webhooks.github_app_webhook, name="github_app_webhook"
    ),
    path("hooks/<slug:kind>/<str:public_id>", webhooks.webhook, name="webhook"),
    path(f"{APP}source/github/", picker_views.app_source_github, name="app_source_github"),
    path(
        "projects/<slug:project>/new-app/github/",
        picker_views.app_new_github,
        name="app_new_github",
    ),
    path("settings/github/", github_views.github, name="github"),
    path("settings/github/new/", github_views.github_new, name="github_new"),
    path("settings/github/made/", github_views.github_made, name="github_made"),
    path(
        "settings/github/installed/<str:public_id>/",
        github_views.github_installed,
        name="github_installed",
    ),
    path("settings/github/<int:pk>/refresh/", github_views.github_refresh, name="github_refresh"),
    path(
        "settings/github/<int:pk>/deliveries/",
        delivery_views.github_delivery_list,
        name="github_delivery_list",
    ),
    path(
        "settings/github/<int:github_app>/deliveries/<int:delivery>/",
        delivery_views.github_delivery,
        name="github_delivery",
    ),
    path(
        "settings/github/<int:github_app>/deliveries/<int:delivery>/replay/",
        delivery_views.github_delivery_replay_view,
        name="github_delivery_replay",
    ),
    path("settings/github/<int:pk>/delete/", github_views.github_delete, name="github_delete"),
    path(
        "settings/github/installations/<int:pk>/projects/",
        github_views.installation_projects,
        name="installation_projects",
    ),
]
