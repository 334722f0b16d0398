"""People with a real git, who push to a real Mist."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.engine.git_host import ENVIRONMENT
from tests.machine.live import LiveMist

STATIC = {
    "Dockerfile": 'FROM busybox:latest\nCOPY . /www\nEXPOSE 8080\nCMD ["httpd", "-f", "-p", "8080", "-h", "/www"]\n',
    "index.html": "hello\n",
}
BROKEN = {"Dockerfile": 'FROM busybox:latest\nRUN echo "the compiler says no" && exit 7\n'}
_TOKEN = """
from apps.accounts.models import User
from apps.api.services import token_create
from apps.projects.models import Membership, Project
import datetime as dt
from django.utils import timezone
user, _ = User.objects.get_or_create(email={email!r}, defaults={{"name": {email!r}, "role": {instance!r}}})
project = Project.objects.get(slug="shop")
if {role!r}:
    Membership.objects.get_or_create(user=user, project=project, defaults={{"role": {role!r}}})
ends = timezone.now() + dt.timedelta(seconds={seconds}) if {seconds} else None
print(token_create(user=user, name="laptop", scopes={scopes!r}, expires_at=ends).secret)
"""


@dataclass(frozen=True)
class Said:
    status: int
    text: str
    """Everything that git printed."""

    @property
    def remote(self) -> list[str]:
        """What came from Mist."""
        lines = self.text.replace("\r", "\n").splitlines()
        return [
            line.removeprefix("remote:").strip() for line in lines if line.startswith("remote:")
        ]


@dataclass
class Clone:
    """A work tree on somebody's machine."""

    path: Path
    environment: dict[str, str] = field(default_factory=lambda: {**os.environ, **ENVIRONMENT})

    def git(self, *words: str) -> Said:
        done = subprocess.run(
            ["git", *words], cwd=self.path, env=self.environment, capture_output=True, text=True,
            errors="replace", timeout=900,
        )  # fmt: skip
        return Said(done.returncode, done.stdout + done.stderr)

    def start(self, *words: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            ["git", *words], cwd=self.path, env=self.environment, text=True, errors="replace",
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip

    def commit(self, files: Mapping[str, str], message: str = "Change something") -> str:
        for name, text in files.items():
            file = self.path / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)
        assert self.git("add", "--all").status == 0
        assert self.git("commit", "--quiet", "--allow-empty", "-m", message).status == 0
        return self.git("rev-parse", "HEAD").text.strip()


@dataclass
class Pushes:
    """A Mist with the project shop, and people who push to it."""

    mist: LiveMist
    root: Path

    def token(
        self,
        email: str = "alice@example.com",
        *,
        role: str = "",
        instance: str = "member",
        scopes: tuple[str, ...] = ("deploy",),
        seconds: int = 0,
    ) -> str:
        code = _TOKEN.format(
            email=email, role=role, instance=instance, scopes=list(scopes), seconds=seconds
        )
        return self.mist.run("shell", "-c", code).split()[-1]

    def app(self, name: str, **options: str) -> None:
        words = [word for key, value in options.items() for word in (f"--{key}", value)]
        self.mist.run("app_create", f"shop/{name}", *words)

    def url(self, app: str, token: str = "") -> str:
        host = self.mist.url.removeprefix("http://")
        return f"http://{f'me:{token}@' if token else ''}{host}/git/shop/{app}.git"

    def clone(self, name: str, files: Mapping[str, str] | None = None) -> Clone:
        """A new repository with these files as its first commit."""
        path = self.root / name
        path.mkdir(parents=True)
        made = Clone(path)
        assert made.git("init", "--quiet", "--initial-branch=main").status == 0
        # What these tests push is chance, which no effort makes smaller.
        for name, value in (("core.compression", "0"), ("core.bigFileThreshold", "1m")):
            assert made.git("config", name, value).status == 0
        made.commit(STATIC if files is None else files, "First version")
        return made
