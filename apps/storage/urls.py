"""Addresses of the page about the disk."""

from __future__ import annotations

from django.urls import path

from apps.storage import views

urlpatterns = [
    path("storage/", views.storage, name="storage"),
    path("storage/clean/", views.storage_clean, name="storage_clean"),
]
