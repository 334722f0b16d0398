"""Bringing ready images from registries.

The engine itself connects to a registry, not Mist. Mist looks up where the registry's name leads
and refuses what `egress` refuses, before each request. What that cannot cover: the name may lead
elsewhere a moment later, and the registry names the servers of its layers and of its logins, which
the engine then asks. Docker Hub is not looked up: nobody typed its host, and engines often reach it
through a mirror or a proxy of their own.

A login is sent in the header `X-Registry-Auth` of the one request that needs it. No configuration
file of docker's command line is read or written.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import docker
from docker.errors import APIError, NotFound
from docker.models.images import Image

from apps.engine.call import Refusal, ask
from apps.engine.data import EngineConfig, LineSink, RegistryLogin
from apps.engine.deadline import Deadline
from apps.engine.egress import ITSELF, Refused, Rules, check
from apps.engine.egress_rules import egress_rules
from apps.engine.errors import (
    MAKE_ROOM,
    ImageNotFound,
    OutOfDisk,
    PullFailed,
    RegistryDenied,
    RegistryUnreachable,
)
from apps.engine.image_names import HUB, ImageName
from apps.engine.locks import try_file_lock
from apps.engine.masking import Masker
from apps.engine.pull_errors import is_denied, no_such_registry, pull_failed, registry_failed
from apps.engine.pull_progress import PullProgress
from apps.engine.streams import until

_HUB_LOGIN = "https://index.docker.io/v1/"
"""What Docker Hub is called in logins, for as long as there have been any."""


def check_registry_host(config: EngineConfig, registry: str, deadline: Deadline) -> None:
    """Raise `RegistryUnreachable` for a registry that the engine is not to be sent to, and what the
    deadline raises: a name server may be silent for long."""
    if registry == HUB:
        return
    host, _, port = registry.partition(":")
    rules = egress_rules(config)
    try:
        for problem in until(_look_up(host, int(port or 443), rules), lambda: None, deadline):
            raise problem
        deadline.check()
    except Refused as error:
        why = str(error).rpartition(": ")[2]
        raise RegistryUnreachable(
            f"Mist does not use the registry {registry}: {why}.",
            hint="Whoever runs this Mist can allow registries there with MIST_GIT_LOCALHOST=true."
            if why == ITSELF
            else "Use a registry at another address.",
        ) from error
    except (socket.gaierror, UnicodeError) as error:
        raise no_such_registry(registry, str(error)) from error


def _look_up(host: str, port: int, rules: Rules) -> Iterator[OSError | UnicodeError]:
    """What is wrong with it, handed on as an item."""
    try:
        check(host, port, rules)
    except (OSError, UnicodeError) as error:
        yield error


def published_digest(
    config: EngineConfig, image: ImageName, login: RegistryLogin | None, deadline: Deadline
) -> str:
    """See `base.Containers`."""
    check_registry_host(config, image.registry, deadline)
    path = f"/distribution/{quote(str(image), safe='/:@')}/json"
    with _explained(image, login):
        found = list(ask(config.docker_host, "GET", path, deadline=deadline, headers=_auth(login)))
    return str(found[0]["Descriptor"]["digest"])


def check_login(config: EngineConfig, login: RegistryLogin, deadline: Deadline) -> None:
    """See `base.Containers`."""
    check_registry_host(config, login.registry, deadline)
    try:
        list(ask(config.docker_host, "POST", "/auth", deadline=deadline, body=_facts(login)))
    except Refusal as error:
        message = Masker({login.password}).text(error.message)
        if is_denied(message):
            raise RegistryDenied(
                f"{login.registry} refused the login of {login.username}.", detail=message
            ) from None
        raise registry_failed(login.registry, message, user=login.username) or PullFailed(
            f"{login.registry} did not take the login.", detail=message
        ) from None


class Pull:
    """One image on its way into the engine."""

    def __init__(
        self,
        config: EngineConfig,
        client: docker.DockerClient,
        image: ImageName,
        login: RegistryLogin | None,
        deadline: Deadline,
    ) -> None:
        self.config = config
        self.client = client
        self.image = image
        self.login = login
        self.deadline = deadline

    def bring(self, *, name: str, log: LineSink) -> str:
        """See `base.Containers.pull`. Raises also what the SDK raises."""
        check_registry_host(self.config, self.image.registry, self.deadline)
        with self._alone(log):
            self._remove_leftover()
            wanted = self.image
            if not wanted.digest and self._is_there(str(wanted)):
                # Somebody's own: a pull by tag would move it.
                wanted = wanted.with_digest(
                    published_digest(self.config, wanted, self.login, self.deadline)
                )
            with self._traces_removed(wanted.pinned or str(wanted)):
                digest = self._pull(wanted, log)
                found = self._named(f"{wanted.name}@{digest}", name)
        self._warn_of_platform(found.attrs, log)
        return digest

    def _pull(self, wanted: ImageName, log: LineSink) -> str:
        progress = PullProgress()
        query = {"fromImage": wanted.name, "tag": wanted.digest or wanted.tag}
        with _explained(wanted, self.login):
            for item in ask(
                self.config.docker_host,
                "POST",
                "/images/create",
                deadline=self.deadline,
                query=query,
                headers=_auth(self.login),
            ):
                if "error" in item or "errorDetail" in item:
                    detail = item.get("errorDetail") or {}
                    raise Refusal(500, str(detail.get("message") or item.get("error")))
                if line := progress.take(item, time.monotonic()):
                    log(line)
        if not (digest := progress.digest or wanted.digest):
            raise PullFailed(f"The engine does not say which {wanted} it pulled.")
        return digest

    @contextmanager
    def _alone(self, log: LineSink) -> Iterator[None]:
        """One at a time for each image: the other then finds its layers here."""
        said = False
        while True:
            with try_file_lock(self.config.data_dir / "locks" / f"pull-{self._key}") as held:
                if held:
                    yield
                    return
            if not said:
                log(f"Waiting for another pull of {self.image.short}")
                said = True
            self.deadline.sleep(0.25)

    @contextmanager
    def _traces_removed(self, reference: str) -> Iterator[None]:
        """Afterwards the engine has the image by the name that it is given here alone, so that it
        goes with that one. What was there before stays. A note on disk tells the next pull, after
        this process was killed, what is nobody's own."""
        is_ours = not self._is_there(reference)
        if is_ours:
            self._write_note(reference)
        try:
            yield
        finally:
            if is_ours:
                self._remove_leftover()

    def _write_note(self, reference: str) -> None:
        try:
            self._note.parent.mkdir(parents=True, exist_ok=True)
            self._note.write_text(reference)
        except OSError as error:
            raise OutOfDisk(
                f"Mist cannot write to its data directory: {error.strerror or error}.",
                hint=MAKE_ROOM.format(again="deploy again"),
            ) from error

    def _remove_leftover(self) -> None:
        if self._note.exists():
            with contextlib.suppress(APIError):
                self.client.images.remove(self._note.read_text())
            self._note.unlink()

    def _named(self, reference: str, name: str) -> Image:
        try:
            found = self.client.images.get(reference)
        except NotFound as error:
            raise PullFailed(
                f"Somebody removed {self.image} while it was pulled.", hint="Deploy again."
            ) from error
        found.tag(*name.rsplit(":", 1))
        return found

    @property
    def _key(self) -> str:
        return hashlib.sha256(self.image.name.encode()).hexdigest()[:20]

    @property
    def _note(self) -> Path:
        return self.config.data_dir / "pulls" / self._key

    def _is_there(self, reference: str) -> bool:
        try:
            self.client.images.get(reference)
        except NotFound:
            return False
        return True

    def _warn_of_platform(self, facts: dict[str, Any], log: LineSink) -> None:
        """The engine takes an image that names one platform only, whichever that is."""
        made_for, here = facts.get("Architecture"), self.client.version().get("Arch")
        if made_for and here and made_for != here:
            log(f"Warning: this image is made for {made_for}, and the server is {here}")


@contextmanager
def _explained(image: ImageName, login: RegistryLogin | None) -> Iterator[None]:
    try:
        yield
    except Refusal as error:
        message = error.message
        if login is not None:
            message = Masker({login.password}).text(message)
        user = "" if login is None else login.username
        if error.status == 404 and not message:
            raise ImageNotFound(f"There is no {image}.") from None
        raise pull_failed(image, message, user=user) from None


def _facts(login: RegistryLogin) -> dict[str, str]:
    address = _HUB_LOGIN if login.registry == HUB else login.registry
    return {
        "username": login.username,
        "password": login.password,
        "serveraddress": address,
    }


def _auth(login: RegistryLogin | None) -> dict[str, str]:
    if login is None:
        return {}
    facts = json.dumps(_facts(login)).encode()
    return {"X-Registry-Auth": base64.urlsafe_b64encode(facts).decode()}
