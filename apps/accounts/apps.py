"""The app's beginning."""

from __future__ import annotations

import importlib

from django.apps import AppConfig


class AccountsConfig(AppConfig):
    name = "apps.accounts"

    def ready(self) -> None:
        # Hears when somebody logs in, whoever lets them.
        importlib.import_module("apps.accounts.sessions")
