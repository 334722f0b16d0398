"""Somebody outside, whom Mist asks from which address it comes."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from apps.engine import public_addresses


class Outside:
    """Says in plain text from which address somebody came."""

    def __init__(self) -> None:
        self.says, self.status, self.asked = "198.18.0.1", 200, 0
        outside = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                outside.asked += 1
                self.send_response(outside.status)
                self.end_headers()
                self.wfile.write(outside.says.encode())

            def log_message(self, *words: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/"


@contextmanager
def serve_outside() -> Iterator[Outside]:
    """Until the block ends; what it has said is forgotten then."""
    made = Outside()
    threading.Thread(target=made.server.serve_forever, daemon=True).start()
    try:
        yield made
    finally:
        made.server.shutdown()
        made.server.server_close()
        public_addresses._answers.clear()
