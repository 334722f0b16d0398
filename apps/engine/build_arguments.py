"""Which build arguments the docker client may carry in its own environment.

Values must not stand on a command line, where everybody on the machine reads them, so the client
takes them from its environment; and there some names are not the build's but the client's, its
plugins' or the machine's loader's. `LD_PRELOAD` or `DOCKER_CONFIG` leading into the checkout would
run a stranger's code on the server itself, as Mist.
"""

from __future__ import annotations

from collections.abc import Mapping

_PREFIXES = (
    # The loader and the C library, ld.so(8).
    *("LD_", "GLIBC_", "MALLOC_", "GCONV_", "RESOLV_"),
    # The docker client, its plugins and programs that they start.
    *("DOCKER_", "BUILDX_", "BUILDKIT_", "COMPOSE_", "OTEL_", "GRPC_", "XDG_", "DBUS_", "GIT_"),
)
_NAMES = frozenset(
    {
        *("PATH", "HOME", "TMPDIR", "BASH_ENV", "KUBECONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"),
        *("LOCALDOMAIN", "HOSTALIASES", "RES_OPTIONS", "LOCPATH", "NLSPATH", "GETCONF_DIR"),
        *("GODEBUG", "GOTRACEBACK", "GOMEMLIMIT", "GOMAXPROCS", "GOGC", "GOCOVERDIR"),
        *("SSH_AUTH_SOCK", "SSH_ASKPASS", "EXPERIMENTAL_BUILDKIT_SOURCE_POLICY"),
    }
)
_HARMLESS = frozenset(
    {
        # Build arguments that BuildKit's own manual tells people to set.
        *("BUILDKIT_INLINE_CACHE", "BUILDKIT_CONTEXT_KEEP_GIT_DIR", "BUILDKIT_SYNTAX"),
        # What people call the version that they build; git itself knows none of these.
        *("GIT_COMMIT", "GIT_SHA", "GIT_HASH", "GIT_REV", "GIT_REVISION", "GIT_REF"),
        *("GIT_BRANCH", "GIT_TAG", "GIT_VERSION", "GIT_TOKEN"),
    }
)


def is_for_the_build(name: str) -> bool:
    """Whether a variable of this name means nothing to the programs that start the build."""
    name = name.upper()
    if name in _HARMLESS:
        return True
    return name not in _NAMES and not name.startswith(_PREFIXES)


def split_arguments(values: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Those that go into the client's environment, and the names of all others."""
    passed = {name: value for name, value in values.items() if is_for_the_build(name)}
    return passed, sorted(values.keys() - passed.keys())
