"""Addresses of the WebSockets that live pages open."""

from __future__ import annotations

from typing import Any

from django.urls import path

from apps.deployments import consumers

_deployment: Any = consumers.DeploymentConsumer.as_asgi()
_app: Any = consumers.AppConsumer.as_asgi()
_lobby: Any = consumers.LobbyConsumer.as_asgi()

websocket_urlpatterns = [
    path("ws/deployments/<int:pk>/", _deployment),
    path("ws/apps/<int:pk>/", _app),
    path("ws/lobby/", _lobby),
]
