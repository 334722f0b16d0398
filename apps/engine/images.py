"""Images of the Docker engine: built, pulled, named and let go of."""

from __future__ import annotations

import docker
from docker.errors import APIError, ImageNotFound

from apps.engine import build as building
from apps.engine import pulling
from apps.engine.client import api_errors, connect, guard
from apps.engine.data import BuildSpec, EngineConfig, LineSink, RegistryLogin
from apps.engine.deadline import Deadline
from apps.engine.image_names import ImageName


class DockerImages:
    """The part of `base.Containers` that is about images."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config

    @property
    def _client(self) -> docker.DockerClient:
        return connect(self._config.docker_host)

    def build(self, spec: BuildSpec, *, log: LineSink, deadline: Deadline) -> str:
        with guard(), api_errors():
            building.build(self._config, spec, log=log, deadline=deadline)
            return str(self._client.images.get(spec.image).id)

    def image_exists(self, image: str) -> bool:
        with guard(), api_errors():
            try:
                self._client.images.get(image)
            except ImageNotFound:
                return False
            return True

    def exposed_ports(self, image: str) -> tuple[int, ...]:
        with guard(), api_errors():
            exposed = self._client.images.get(image).attrs["Config"].get("ExposedPorts") or {}
        ports = (port.partition("/") for port in exposed)
        return tuple(sorted(int(number) for number, _, kind in ports if kind in ("", "tcp")))

    def remove_image(self, image: str) -> None:
        with guard(), api_errors():
            try:
                self._client.images.remove(image)
            except ImageNotFound:
                pass
            except APIError as error:
                if error.status_code != 409:  # in use by a container
                    raise

    def pull(
        self,
        image: ImageName,
        *,
        name: str,
        login: RegistryLogin | None,
        log: LineSink,
        deadline: Deadline,
    ) -> str:
        with guard(), api_errors():
            pull = pulling.Pull(self._config, self._client, image, login, deadline)
            return pull.bring(name=name, log=log)

    def name_image(self, image: str, *, name: str) -> bool:
        with guard(), api_errors():
            try:
                return bool(self._client.images.get(image).tag(*name.rsplit(":", 1)))
            except ImageNotFound:
                return False

    def published_digest(
        self, image: ImageName, *, login: RegistryLogin | None, deadline: Deadline
    ) -> str:
        return pulling.published_digest(self._config, image, login, deadline)

    def check_login(self, login: RegistryLogin, *, deadline: Deadline) -> None:
        pulling.check_login(self._config, login, deadline)
