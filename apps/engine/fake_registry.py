"""Registries in memory: what they hold, and to whom they show it."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from apps.engine.data import LineSink, RegistryLogin
from apps.engine.deadline import Deadline
from apps.engine.errors import ImageNotFound, RegistryDenied
from apps.engine.fake_storage import FakeStorage
from apps.engine.image_names import ImageName, parse_image_name


class FakeRegistries(FakeStorage):
    """Every registry that can be asked, with the promises of `base.Containers`."""

    published: dict[str, tuple[int, ...]]
    """`name@digest` → ports that the image exposes."""
    tags: dict[str, str]
    """`name:tag` → digest."""
    logins: dict[str, tuple[str, str]]
    """Registry that shows nothing to everybody → user and password."""
    shown: list[RegistryLogin | None]
    """The login of every request, in turn."""

    def publish(self, name: str, content: str, *, ports: tuple[int, ...] = (8000,)) -> str:
        """Push an image, moving the tag to it. Returns its digest. Not a method of engines."""
        image = parse_image_name(name)
        digest = f"sha256:{hashlib.sha256(content.encode()).hexdigest()}"
        self.published[image.with_digest(digest).pinned] = ports
        self.tags[f"{image.name}:{image.tag}"] = digest
        return digest

    def pull(
        self,
        image: ImageName,
        *,
        name: str,
        login: RegistryLogin | None,
        log: LineSink,
        deadline: Deadline,
    ) -> str:
        log(f"Pulling from {image.path}")
        deadline.check()
        self.enter("pull", str(image))
        deadline.check()
        digest = self._find(image, login)
        log("1 of 1 layers are here")
        with self._lock:
            self.images[name] = self.published[image.with_digest(digest).pinned]
            self.contents[name] = digest
        return digest

    def name_image(self, image: str, *, name: str) -> bool:
        self.enter("name_image", name)
        with self._lock:
            if image not in self.images:
                return False
            self.images[name] = self.images[image]
            self.contents[name] = self.contents.get(image, image)
        return True

    def published_digest(
        self, image: ImageName, *, login: RegistryLogin | None, deadline: Deadline
    ) -> str:
        self.enter("published_digest", str(image))
        deadline.check()
        return self._find(image, login)

    def check_login(self, login: RegistryLogin, *, deadline: Deadline) -> None:
        self.enter("check_login", login.registry)
        deadline.check()
        try:
            self._let_in(login.registry, login)
        except RegistryDenied:
            words = f"{login.registry} refused the login of {login.username}."
            raise RegistryDenied(words) from None

    def _find(self, image: ImageName, login: RegistryLogin | None) -> str:
        self._let_in(image.registry, login)
        digest = image.digest or self.tags.get(f"{image.name}:{image.tag}", "")
        if replace(image, digest=digest).pinned not in self.published:
            raise ImageNotFound(f"{image.registry} has no {image.path} with the tag {image.tag}.")
        return digest

    def _let_in(self, registry: str, login: RegistryLogin | None) -> None:
        self.shown.append(login)
        wanted = self.logins.get(registry)
        given = None if login is None else (login.username, login.password)
        if wanted is not None and (given != wanted or login is None or login.registry != registry):
            raise RegistryDenied(f"{registry} does not show the image to everybody.")
