"""The channel layer of a Mist in several processes: messages go over Redis."""

from __future__ import annotations

import functools
from typing import Any

import redis
from channels_redis.pubsub import RedisPubSubChannelLayer

REDIS_SECONDS = 2.0
"""How long somebody who publishes waits for a Redis that does not answer."""


class SharedChannelLayer(RedisPubSubChannelLayer):  # type: ignore[misc]
    """Channels' own layer, plus `publish` for callers outside any event loop.

    Without it each message from a worker's thread would make an event loop and a connection.
    """

    def publish(self, group: str, message: dict[str, Any]) -> None:
        """Send to every member of the group, from any thread. Raises `redis.RedisError`."""
        # The name that the layer's own `group_send` uses.
        self._client.publish(f"asgi__group__{group}", self.serialize(message))

    @functools.cached_property
    def _client(self) -> redis.Redis:
        """Thread-safe: it has a pool of connections."""
        return redis.Redis.from_url(
            self._kwargs["hosts"][0],
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
        )
