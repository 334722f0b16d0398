"""What a repository or a variable says never runs on the server itself while an image is built."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from apps.engine import build as building
from apps.engine.build_arguments import is_for_the_build
from apps.engine.data import BuildSpec, EngineConfig
from apps.engine.deadline import Deadline
from apps.engine.errors import BuildFailed
from tests.machine.needed import needs

NASTY = "$(touch PWNED); `touch PWNED` && touch PWNED | touch PWNED\n--privileged 'x' \"y\""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A docker client that writes down how it was started."""
    path = tmp_path / "bin" / "docker"
    path.parent.mkdir()
    path.write_text(
        "#!/usr/bin/env python3\n"
        "import json, os, sys\n"
        f"json.dump([sys.argv, dict(os.environ)], open({str(tmp_path / 'seen')!r}, 'w'))\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")
    building.find_buildkit.cache_clear()
    yield path
    building.find_buildkit.cache_clear()


def built(
    tmp_path: Path, args: dict[str, str], *, labels: dict[str, str] | None = None
) -> tuple[list[str], dict[str, str], list[str]]:
    """The client's words and environment, and the log."""
    context = tmp_path / "checkout"
    context.mkdir(exist_ok=True)
    (context / "Dockerfile").write_text("FROM scratch\n")
    log: list[str] = []
    spec = BuildSpec(
        context=context,
        dockerfile=context / "Dockerfile",
        image="mist/web:1",
        labels=labels or {},
        args=args,
        secrets=args,
    )
    config = EngineConfig(instance="x", data_dir=tmp_path)
    building.build(config, spec, log=log.append, deadline=Deadline(30))
    words, environment = json.loads((tmp_path / "seen").read_text())
    return words, environment, log


def test_command_injection_through_a_build_argument_is_only_text(
    client: Path, tmp_path: Path
) -> None:
    words, environment, _ = built(tmp_path, {"MESSAGE": NASTY}, labels={"mist.name": NASTY})
    assert environment["MESSAGE"] == NASTY
    assert "--build-arg=MESSAGE" in words and f"--label=mist.name={NASTY}" in words
    assert "--privileged" not in words
    assert not list(tmp_path.rglob("PWNED")) and not Path("PWNED").exists()


def test_a_value_is_on_no_command_line(client: Path, tmp_path: Path) -> None:
    words, _, _ = built(tmp_path, {"TOKEN": "s3cret-value", "LD_PRELOAD": "s3cret-path"})
    assert "s3cret" not in " ".join(words)


@pytest.mark.parametrize(
    "name",
    ["LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "GLIBC_TUNABLES", "GCONV_PATH", "PATH", "HOME",
     "TMPDIR", "DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CONTEXT", "DOCKER_CERT_PATH",
     "DOCKER_CLI_PLUGIN_EXTRA_DIRS", "BUILDX_CONFIG", "BUILDX_BUILDER", "BUILDKIT_HOST", "GODEBUG",
     "OTEL_EXPORTER_OTLP_ENDPOINT", "SSH_AUTH_SOCK", "BASH_ENV", "GIT_DIR", "XDG_CONFIG_HOME", "ld_preload"],
)  # fmt: skip
def test_a_variable_never_changes_what_the_servers_own_programs_do(
    client: Path, tmp_path: Path, name: str
) -> None:
    words, environment, log = built(tmp_path, {name: "/evil", "NODE_ENV": "production"})
    assert environment.get(name) != "/evil"
    assert environment["NODE_ENV"] == "production"
    assert f"--build-arg={name}" not in words
    assert any(f"id={name}," in word for word in words)
    assert any(line.startswith(f"{name} is no build argument here") for line in log)


@needs(shutil.which("cc"), "A C compiler")
def test_a_library_in_the_checkout_is_not_loaded_by_the_server(
    client: Path, tmp_path: Path
) -> None:
    """With a real library that leaves a mark wherever it is loaded."""
    mark, library = tmp_path / "PWNED", tmp_path / "evil.so"
    source = tmp_path / "evil.c"
    source.write_text(
        "#include <fcntl.h>\n__attribute__((constructor)) void f(void) {"
        f' open("{mark}", O_CREAT | O_WRONLY, 0600); }}\n'
    )
    subprocess.run(["cc", "-shared", "-fPIC", "-o", library, source], check=True)
    subprocess.run(
        ["true"], env={"LD_PRELOAD": str(library), "PATH": os.environ["PATH"]}, check=True
    )
    assert mark.exists()
    mark.unlink()
    built(tmp_path, {"LD_PRELOAD": str(library)})
    assert not mark.exists()


@pytest.mark.parametrize("name", ["NODE_ENV", "VERSION", "NPM_TOKEN", "HTTP_PROXY", "BUILDKIT_INLINE_CACHE", "LDAP_URL", "PATHS", "GOPROXY", "GIT_SHA"])  # fmt: skip
def test_ordinary_names_are_build_arguments(name: str) -> None:
    assert is_for_the_build(name)


def test_a_failing_client_is_a_failed_build(client: Path, tmp_path: Path) -> None:
    """The stand-in above would be believed for nothing if its failure did not count."""
    client.write_text("#!/bin/sh\n[ $1 = build ] && exit 3\nexit 0\n")
    with pytest.raises(BuildFailed):
        built(tmp_path, {})
