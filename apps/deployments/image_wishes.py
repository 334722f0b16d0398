"""Which image an app of ready images is asked to deploy."""

from __future__ import annotations

from apps.engine.errors import InvalidSource
from apps.engine.image_names import ImageName, parse_image_name
from apps.projects.models import App


def wished_image(app: App, *, version: str = "", image: str = "", commit: str = "") -> ImageName:
    """The app's own image; the same one with another `version` (a tag or a digest); or `image`,
    which is written out in full and must be the app's but for tag and digest.

    Raises `InvalidSource`.
    """
    own = parse_image_name(app.image_name)
    if commit:
        raise InvalidSource(f"{app} is a ready image: it has tags and digests, and no commits.")
    if version:
        return own.at(version)
    if not image:
        return own
    wished = parse_image_name(image)
    if wished.name != own.name:
        raise InvalidSource(
            f"{app} is {own.short}, and {wished.short} is another image: set it as its source."
        )
    return wished


def refuse_image(app: App) -> None:
    """For an app that is built. Raises `InvalidSource`."""
    raise InvalidSource(f"{app} is built from code: deploy a branch, a tag or a commit of it.")
