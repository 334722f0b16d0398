"""The id of the request at work, in every line that Mist writes to its log meanwhile."""

from __future__ import annotations

import contextlib
import logging
import re
from collections.abc import Iterator
from contextvars import ContextVar

_HOOK = re.compile(r"(/hooks/deploy/)[^\s/?#'\"]+")
_request: ContextVar[str] = ContextVar("audit_request", default="")


def request_id() -> str:
    """Of the request at work here and now; empty outside one."""
    return _request.get()


@contextlib.contextmanager
def within_request(identity: str) -> Iterator[None]:
    token = _request.set(identity)
    try:
        yield
    finally:
        _request.reset(token)


class RequestIdFilter(logging.Filter):
    """Gives each record `request_id`: ` [id]`, or nothing outside a request."""

    def filter(self, record: logging.LogRecord) -> bool:
        identity = request_id()
        record.request_id = f" [{identity}]" if identity else ""
        return True


class HookSecretFilter(logging.Filter):
    """Takes the secret out of the address of a deploy hook, which Django names with every answer
    that is an error."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        if _HOOK.search(text):
            record.msg, record.args = _HOOK.sub(r"\1…", text), ()
        return True
