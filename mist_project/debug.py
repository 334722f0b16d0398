"""What Django's pages and mails about an error tell: where it was, and of no value."""

from __future__ import annotations

import re
from collections.abc import ItemsView
from types import FrameType
from typing import Any

from django.http import HttpRequest
from django.views.debug import SafeExceptionReporterFilter

HIDDEN = "••••••"


class NoValues(SafeExceptionReporterFilter):
    """Also with MIST_DEBUG, which somebody may have left on: of variables of the code only what
    kind they are, of what was sent only the names, of settings none that an address with a
    password could be in."""

    cleansed_substitute = HIDDEN
    hidden_settings = re.compile(
        "API|AUTH|TOKEN|KEY|SECRET|PASS|SIGNATURE|COOKIE|URL|DATABASE|DSN|BROKER|CHANNEL|CACHE",
        flags=re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_post_parameters(self, request: HttpRequest | None) -> dict[str, Any]:
        return {} if request is None else dict.fromkeys(request.POST, HIDDEN)

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        kinds = {name: f"<{type(value).__name__}>" for name, value in tb_frame.f_locals.items()}
        return kinds.items()
