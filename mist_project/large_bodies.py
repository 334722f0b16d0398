"""Requests that may be larger than a form: a push, and an archive.

Their bodies go to a file of the data directory as they come, and only those of people who may send
them: whoever may not is asked before the first block is kept.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any

from django.conf import settings
from django.urls import reverse

from mist_project.git_server import GitServer

_PUSH = re.compile(r"/git/[a-z0-9-]{1,40}/[a-z0-9-]{1,40}\.git/git-receive-pack")
_UPLOAD = re.compile(r"/projects/([a-z0-9-]{1,40})/apps/([a-z0-9-]{1,40})/source/upload/")
MEGABYTE = 1024 * 1024
LARGE_SECONDS = 3600.0
"""From the first byte of such a request to its last."""
Status = Callable[[dict[str, Any], str], Awaitable[int]]
"""What a GET of that path is answered with the same cookies and headers."""


def is_large(method: str, target: str) -> bool:
    """Whether a request of this kind may be large at all. `target` as the request line has it."""
    path = target.partition("?")[0]
    return method == "POST" and any(one.fullmatch(path) for one in (_PUSH, _UPLOAD))


async def allowance(scope: dict[str, Any], git: GitServer, status: Status) -> int:
    """How many bytes this very request may have; 0 for what it would have as any other."""
    path = scope["path"]
    if _PUSH.fullmatch(path):
        return settings.MIST_PUSH_LIMIT_MB * MEGABYTE if await git.may_push(scope) else 0
    if (found := _UPLOAD.fullmatch(path)) is None:
        return 0
    # Who may see that page may use the form on it.
    may = await status(scope, reverse("app_source", args=found.groups())) == 200
    # A little more than the archive: the form around it.
    return settings.MIST_UPLOAD_LIMIT_MB * MEGABYTE + MEGABYTE if may else 0
