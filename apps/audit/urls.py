"""Addresses of the audit trail: of the instance, and of one project."""

from __future__ import annotations

from django.urls import path

from apps.audit import views

urlpatterns = [
    path("audit/", views.audit, name="audit"),
    path("audit/export/", views.audit_export, name="audit_export"),
    path("projects/<slug:project>/audit/", views.project_audit, name="project_audit"),
    path(
        "projects/<slug:project>/audit/export/",
        views.project_audit_export,
        name="project_audit_export",
    ),
]
