"""A small web app: one page that says which version of it answers, and a health check.

Only Python's own library is used, so that it builds without the internet.
"""

import contextlib
import html
import os
import signal
import socket
import string
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

VERSION = "1.2"
COMMIT = os.environ.get("MIST_COMMIT", "")[:7] or "unknown"
PORT = int(os.environ.get("PORT", "8000"))
PAGE = string.Template((Path(__file__).parent / "page.html").read_text(encoding="utf-8"))


class App(ThreadingHTTPServer):
    daemon_threads = False
    request_queue_size = 128

    def __init__(self, address):
        super().__init__(address, Handler)
        self.lock = threading.Lock()
        self.connections = set()
        self.answered = 0

    def process_request(self, request, client_address):
        with self.lock:
            self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request):
        with self.lock:
            self.connections.discard(request)
        super().shutdown_request(request)

    def count(self):
        with self.lock:
            self.answered += 1
            return self.answered

    def finish_requests(self):
        """Let every open request come to its end, and close the connections that are idle."""
        with self.lock:
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RD)
        self.server_close()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75
    wbufsize = -1

    def do_GET(self):
        path = self.path.partition("?")[0]
        if path == "/healthz":
            self.answer(200, "text/plain", "ok\n")
        elif path == "/":
            self.answer(200, "text/html", self.page())
        else:
            self.answer(404, "text/plain", "There is nothing here.\n")

    do_HEAD = do_GET

    def page(self):
        facts = {
            "version": VERSION,
            "commit": COMMIT,
            "host": socket.gethostname(),
            "requests": f"{self.server.count():,}",
        }
        return PAGE.substitute({name: html.escape(fact) for name, fact in facts.items()})

    def answer(self, status, kind, text):
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self):
        return f"hello/{VERSION}"

    def log_request(self, code="-", size="-"):
        if getattr(self, "path", "") != "/healthz":
            super().log_request(code, size)


def main():
    app = App(("", PORT))
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=app.shutdown).start())
    print(f"hello {VERSION} ({COMMIT}) listens on port {PORT}")
    app.serve_forever(poll_interval=0.05)
    app.finish_requests()
    print("Every request is answered; good-bye.")


if __name__ == "__main__":
    main()
