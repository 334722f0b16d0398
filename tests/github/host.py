"""A GitHub for tests, as GitHub Enterprise is one: pages at the root, the API below /api/v3, and
repositories over smart HTTP."""

from __future__ import annotations

import base64
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

from apps.engine.git_http import respond
from tests.github.api import API, NAME, Api, GitHubHost, Said, new_app


def _handler(host: GitHubHost) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            parts = urlsplit(self.path)
            if parts.path.startswith(f"{API}/"):
                self._api(parts.path.removeprefix(API), parts.query, headers, body)
            elif parts.path.endswith("/settings/apps/new"):
                self._make_app(parts.query, body)
            elif parts.path.endswith("/installations/new"):
                self._install()
            else:
                self._git(parts.path, parts.query, headers, body)

        do_POST = do_GET

        def _make_app(self, query: str, body: bytes) -> None:
            """The page on which a person says that they want this App."""
            state = parse_qs(query)["state"][0]
            host.manifest = json.loads(parse_qs(body.decode())["manifest"][0])
            heard = {} if "hook_attributes" in host.manifest else {"webhook_secret": None}
            host.codes["c0de"] = new_app(host.manifest["name"], **heard)
            back = f"{host.manifest['redirect_url']}?{urlencode({'code': 'c0de', 'state': state})}"
            page = f'<!doctype html><title>GitHub</title><a href="{escape(back)}">Create App</a>'
            self._send(200, {"Content-Type": "text/html"}, page.encode())

        def _install(self) -> None:
            """Where a person installs the App, which then leads back."""
            if not host.installations:
                host.install(1, "halden")
            back = f"{host.manifest['setup_url']}?installation_id=1&setup_action=install"
            self._send(302, {"Location": back}, b"")

        def _api(self, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
            given = {name: values[-1] for name, values in parse_qs(query).items()}
            with host.lock:
                said: Said | None
                if host.is_down:
                    said = Said(503, {"message": "Service unavailable"})
                elif host.faults:
                    said = host.faults.pop(0)
                else:
                    api = Api(host, headers, json.loads(body) if body else None)
                    said = api.answer(self.command, path, given)
                    if self.command == "POST" and host.lose_answers:
                        host.lose_answers -= 1
                        said = None
                host.asked.append((self.command, path, said.status if said else 0))
            if said is None:
                self.close_connection = True
                return
            content = b"" if said.data is None else json.dumps(said.data).encode()
            self._send(said.status, {"Content-Type": "application/json", **said.headers}, content)

        def _git(self, path: str, query: str, headers: dict[str, str], body: bytes) -> None:
            found = re.fullmatch(rf"/{NAME}\.git(/.*)", path)
            if found is None:
                self._send(404, {}, b"")
                return
            if not self._may_read(found[1], headers.get("authorization", "")):
                self._send(401, {"WWW-Authenticate": 'Basic realm="GitHub"'}, b"")
                return
            where = host.root / f"{found[1]}.git" / ".git"
            answer = respond(where, self.command, found[2], query, headers, body)
            self._send(answer.status, dict(answer.headers), b"".join(answer.chunks))

        def _may_read(self, full_name: str, given: str) -> bool:
            try:
                login = base64.b64decode(given.removeprefix("Basic ")).decode()
            except ValueError:
                return False
            user, _, password = login.partition(":")
            issued = host.tokens.get(password)
            if user != "x-access-token" or issued is None or issued.expires_at <= time.time():
                return False
            return issued.permissions.get("contents") == "read" and any(
                one["full_name"] == full_name
                and (issued.repositories is None or one["id"] in issued.repositories)
                for one in host.repositories[issued.installation]
            )

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that goes away in the middle is part of the tests."""


@contextlib.contextmanager
def serve_github(root: Path) -> Iterator[GitHubHost]:
    host = GitHubHost(root)
    server = _Server(("127.0.0.1", 0), _handler(host))
    host.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield host
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
