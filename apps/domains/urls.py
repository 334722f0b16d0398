"""Addresses of an app's host names."""

from __future__ import annotations

from django.urls import path

from apps.domains import rule_views, views

TRAFFIC = "projects/<slug:project>/apps/<slug:app>/traffic/"
DOMAINS = "projects/<slug:project>/apps/<slug:app>/domains/"

urlpatterns = [
    path(DOMAINS, views.app_domains, name="app_domains"),
    path(f"{DOMAINS}check/", views.name_check, name="name_check"),
    path(f"{DOMAINS}<int:pk>/", views.domain, name="domain"),
    path(f"{DOMAINS}<int:pk>/move/", views.domain_move, name="domain_move"),
    path(f"{DOMAINS}<int:pk>/delete/", views.domain_delete, name="domain_delete"),
    path(f"{DOMAINS}<int:pk>/traffic/", rule_views.domain_traffic, name="domain_traffic"),
    path(
        f"{DOMAINS}<int:pk>/traffic/join/",
        rule_views.domain_traffic_join,
        name="domain_traffic_join",
    ),
    path(TRAFFIC, rule_views.app_traffic, name="app_traffic"),
    path(
        f"{TRAFFIC}users/<int:pk>/remove/",
        rule_views.traffic_user_remove,
        name="traffic_user_remove",
    ),
]
