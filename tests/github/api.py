"""What a GitHub for tests holds, and the documented parts of its REST API that Mist asks.

It judges as GitHub does: signatures, what a token may do and until when. Nothing in it depends on
chance.
"""

from __future__ import annotations

import base64
import datetime as dt
import functools
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.engine.git_host import Origin, git

API = "/api/v3"
APP_ID = 4711
TOKEN_SECONDS = 3600
PER_PAGE, PER_PAGE_MAX = 30, 100


@functools.cache
def app_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def app_pem() -> str:
    return app_key().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    ).decode()  # fmt: skip


def new_app(name: str, **more: Any) -> dict[str, Any]:
    """What the conversion of a manifest answers."""
    return {
        "id": APP_ID,
        "name": name,
        "slug": name.lower().replace(" ", "-"),
        "client_id": "Iv1.abc",
        "client_secret": "s3cret-of-the-client",
        "pem": app_pem(),
        "webhook_secret": "s3cret-of-the-webhook",
        **more,
    }


@dataclass
class Said:
    """One answer."""

    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Issued:
    installation: int
    permissions: Mapping[str, str]
    repositories: list[int] | None
    expires_at: float


@dataclass
class GitHubHost:
    """What it holds; tests change it as they like."""

    root: Path
    url: str = ""
    codes: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Of manifests: code → what the conversion answers."""
    manifest: dict[str, Any] = field(default_factory=dict)
    """What a browser brought last."""
    installations: list[dict[str, Any]] = field(default_factory=list)
    repositories: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    branches: dict[int, list[str]] = field(default_factory=dict)
    tokens: dict[str, Issued] = field(default_factory=dict)
    deployments: list[dict[str, Any]] = field(default_factory=list)
    deployment_statuses: list[tuple[int, dict[str, Any]]] = field(default_factory=list)
    statuses: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    """(commit, what was said), in the order in which it came."""
    asked: list[tuple[str, str, int]] = field(default_factory=list)
    """(method, path, status) of every request for the API."""
    faults: list[Said | None] = field(default_factory=list)
    """What the next requests get instead; None for a connection that ends without an answer."""
    is_down: bool = False
    lose_answers: int = 0
    """So many next POSTs are carried out, and their answers get lost."""
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def api_url(self) -> str:
        return f"{self.url}{API}"

    def install(self, number: int, account: str, **more: Any) -> int:
        self.installations.append(
            {
                "id": number,
                "account": {"login": account},
                "target_type": "Organization",
                "suspended_at": None,
                **more,
            }
        )
        self.repositories.setdefault(number, [])
        return number

    def repository(
        self, installation: int, number: int, full_name: str, *branches: str
    ) -> dict[str, Any]:
        made = {
            "id": number,
            "full_name": full_name,
            "private": True,
            "default_branch": branches[0] if branches else "main",
        }
        self.repositories.setdefault(installation, []).append(made)
        self.branches[number] = list(branches or ("main",))
        return made

    def origin(self, full_name: str) -> Origin:
        """A real repository, to be cloned at `<url>/<full_name>.git`."""
        path = self.root / f"{full_name}.git"
        path.mkdir(parents=True)
        git(path, "init", "--quiet", "--initial-branch=main")
        return Origin(path, f"{self.url}/{full_name}.git")

    def count(self, method: str, part: str) -> int:
        return sum(one[0] == method and part in one[1] for one in self.asked)

    def states(self, commit: str) -> list[str]:
        return [said["state"] for sha, said in self.statuses if sha == commit]


class Api:
    """Answers one request."""

    def __init__(self, host: GitHubHost, headers: Mapping[str, str], body: Any) -> None:
        self.host, self.headers, self.body = host, headers, body

    def answer(self, method: str, path: str, query: dict[str, str]) -> Said:
        for pattern, allowed, handler in ROUTES:
            found = re.fullmatch(pattern, path)
            if found is not None and method == allowed:
                return handler(self, query, *found.groups())
        return Said(404, {"message": "Not Found"})

    # ------------------------------------------------------------------------------ who asks

    def _bearer(self) -> str:
        kind, _, text = self.headers.get("authorization", "").partition(" ")
        return text if kind.lower() in ("bearer", "token") else ""

    def _is_app(self) -> bool:
        try:
            head, claims, signature = self._bearer().split(".")
            app_key().public_key().verify(
                _unpacked(signature),
                f"{head}.{claims}".encode(),
                padding.PKCS1v15(),
                hashes.SHA256(),
            )
            said = json.loads(_unpacked(claims))
        except (ValueError, InvalidSignature):
            return False
        now = time.time()
        right = json.loads(_unpacked(head)) == {"alg": "RS256", "typ": "JWT"}
        in_time = said["iat"] <= now < said["exp"] <= now + 600
        return bool(right and in_time and said["iss"] == str(APP_ID))

    def _issued(self, permission: str, access: str, repository: int | None) -> Issued | Said:
        issued = self.host.tokens.get(self._bearer())
        if issued is None or issued.expires_at <= time.time():
            return Said(401, {"message": "Bad credentials"})
        if _suspended(self.host, issued.installation):
            return Said(403, {"message": "This installation has been suspended"})
        if issued.permissions.get(permission) not in {access, "write"}:
            return Said(403, {"message": "Resource not accessible by integration"})
        within = issued.repositories is None or repository in issued.repositories
        if repository is not None and not within:
            return Said(404, {"message": "Not Found"})
        return issued

    # --------------------------------------------------------------------------------- by the app

    def convert(self, query: dict[str, str], code: str) -> Said:
        made = self.host.codes.pop(code, None)
        return Said(404, {"message": "Not Found"}) if made is None else Said(201, made)

    def list_installations(self, query: dict[str, str]) -> Said:
        if not self._is_app():
            return Said(401, {"message": "A JSON web token could not be decoded"})
        return self._paged(self.host.installations, query, "/app/installations")

    def make_token(self, query: dict[str, str], number: str) -> Said:
        if not self._is_app():
            return Said(401, {"message": "A JSON web token could not be decoded"})
        installation = int(number)
        if installation not in [one["id"] for one in self.host.installations]:
            return Said(404, {"message": "Not Found"})
        if _suspended(self.host, installation):
            return Said(403, {"message": "This installation has been suspended"})
        wanted = (self.body or {}).get("repository_ids")
        mine = self.host.repositories[installation]
        if wanted is not None and not set(wanted) <= {one["id"] for one in mine}:
            return Said(422, {"message": "There is at least one repository that does not exist"})
        text = f"ghs_{len(self.host.tokens) + 1:036}"
        permissions = (self.body or {}).get("permissions") or {}
        until = time.time() + TOKEN_SECONDS
        self.host.tokens[text] = Issued(installation, permissions, wanted, until)
        data = {"token": text, "expires_at": _stamp(until), "permissions": permissions}
        if wanted is not None:
            data["repositories"] = [one for one in mine if one["id"] in wanted]
        return Said(201, data)

    # -------------------------------------------------------------------------- by an installation

    def list_repositories(self, query: dict[str, str]) -> Said:
        issued = self._issued("metadata", "read", None)
        if isinstance(issued, Said):
            return issued
        mine = self.host.repositories[issued.installation]
        found = self._paged(mine, query, "/installation/repositories")
        found.data = {"total_count": len(mine), "repositories": found.data}
        return found

    def _named(self, full_name: str) -> dict[str, Any] | Said:
        for one in [one for mine in self.host.repositories.values() for one in mine]:
            if one["full_name"] == full_name:
                return one
            if full_name in one.get("old_names", ()):
                where = f"{self.host.api_url}/repositories/{one['id']}"
                return Said(301, {"message": "Moved Permanently"}, {"Location": where})
        return Said(404, {"message": "Not Found"})

    def list_branches(self, query: dict[str, str], full_name: str) -> Said:
        one = self._named(full_name)
        if isinstance(one, Said):
            return one
        issued = self._issued("contents", "read", one["id"])
        if isinstance(issued, Said):
            return issued
        names = [{"name": name} for name in sorted(self.host.branches[one["id"]])]
        return self._paged(names, query, f"/repos/{full_name}/branches")

    def list_deployments(self, query: dict[str, str], full_name: str) -> Said:
        one = self._named(full_name)
        refused = one if isinstance(one, Said) else self._issued("deployments", "read", one["id"])
        if isinstance(refused, Said):
            return refused
        found = [d for d in self.host.deployments if d["sha"] == query["sha"]]
        return Said(200, [d for d in found if d["environment"] == query["environment"]])

    def make_deployment(self, query: dict[str, str], full_name: str) -> Said:
        one = self._named(full_name)
        refused = one if isinstance(one, Said) else self._issued("deployments", "write", one["id"])
        if isinstance(refused, Said):
            return refused
        if self.body["auto_merge"] or self.body["required_contexts"] != []:
            return Said(409, {"message": "Conflict: Commit status checks failed"})
        made = {"id": 9000 + len(self.host.deployments), "sha": self.body["ref"], **self.body}
        self.host.deployments.append(made)
        return Said(201, made)

    def say_deployment(self, query: dict[str, str], full_name: str, number: str) -> Said:
        one = self._named(full_name)
        refused = one if isinstance(one, Said) else self._issued("deployments", "write", one["id"])
        if isinstance(refused, Said):
            return refused
        if int(number) not in [d["id"] for d in self.host.deployments]:
            return Said(404, {"message": "Not Found"})
        self.host.deployment_statuses.append((int(number), self.body))
        return Said(201, {"id": len(self.host.deployment_statuses)})

    def say_status(self, query: dict[str, str], full_name: str, commit: str) -> Said:
        one = self._named(full_name)
        refused = one if isinstance(one, Said) else self._issued("statuses", "write", one["id"])
        if isinstance(refused, Said):
            return refused
        if self.body["state"] not in ("pending", "success", "failure", "error"):
            return Said(422, {"message": "Validation Failed"})
        if len(self.body.get("description") or "") > 140:
            return Said(422, {"message": "description is too long (maximum is 140 characters)"})
        self.host.statuses.append((commit, self.body))
        return Said(201, {"id": len(self.host.statuses)})

    # ------------------------------------------------------------------------------------- pages

    def _paged(self, rows: list[Any], query: dict[str, str], path: str) -> Said:
        size = min(int(query.get("per_page", PER_PAGE)), PER_PAGE_MAX)
        page = int(query.get("page", 1))
        shown = rows[(page - 1) * size : page * size]
        last = max(1, -(-len(rows) // size))

        def link(number: int, rel: str) -> str:
            where = f"{self.host.api_url}{path}?{urlencode({**query, 'page': number})}"
            return f'<{where}>; rel="{rel}"'

        links = [link(page - 1, "prev")] if page > 1 else []
        links += [link(page + 1, "next"), link(last, "last")] if page < last else []
        etag = f'W/"{hashlib.sha256(json.dumps(shown).encode()).hexdigest()}"'
        headers = {"ETag": etag} | ({"Link": ", ".join(links)} if links else {})
        if self.headers.get("if-none-match") == etag:
            return Said(304, None, headers)
        return Said(200, shown, headers)


NAME = r"([\w.-]+/[\w.-]+)"
ROUTES: list[tuple[str, str, Callable[..., Said]]] = [
    (r"/app-manifests/([^/]+)/conversions", "POST", Api.convert),
    (r"/app/installations", "GET", Api.list_installations),
    (r"/app/installations/(\d+)/access_tokens", "POST", Api.make_token),
    (r"/installation/repositories", "GET", Api.list_repositories),
    (rf"/repos/{NAME}/branches", "GET", Api.list_branches),
    (rf"/repos/{NAME}/deployments", "GET", Api.list_deployments),
    (rf"/repos/{NAME}/deployments", "POST", Api.make_deployment),
    (rf"/repos/{NAME}/deployments/(\d+)/statuses", "POST", Api.say_deployment),
    (rf"/repos/{NAME}/statuses/([0-9a-f]{{40}})", "POST", Api.say_status),
]


def _unpacked(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _stamp(seconds: float) -> str:
    return dt.datetime.fromtimestamp(seconds, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _suspended(host: GitHubHost, installation: int) -> bool:
    return any(one["id"] == installation and one["suspended_at"] for one in host.installations)
