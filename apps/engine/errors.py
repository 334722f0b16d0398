"""What can go wrong outside Mist: one class per reason, each with a sentence for a person.

`sentence` says what failed, `hint` what to do next, `detail` holds the last lines of output that
show it. None of them may hold a secret.
"""

from typing import Literal


class EngineError(Exception):
    """Base of all reasons. `str(error)` is the sentence."""

    def __init__(self, sentence: str, *, hint: str = "", detail: str = "") -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.hint = hint
        self.detail = detail


class EngineUnavailable(EngineError):
    """The Docker engine does not answer, or refuses us."""


class EngineAway(EngineUnavailable):
    """The Docker engine cannot be reached, for example because it is being restarted."""


class ProxyUnavailable(EngineError):
    """Traefik does not answer, or cannot be started."""


class InvalidSource(EngineError, ValueError):
    """A repository address, ref or path that Mist does not accept."""


class CertificateRefused(EngineError):
    """A certificate or its key that cannot be served; `field` is which of the two is wrong."""

    def __init__(self, field: Literal["chain", "key"], sentence: str, *, hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.field: Literal["chain", "key"] = field


class UnknownReference(EngineError):
    """A variable refers to a shared one that does not exist."""


class CloneFailed(EngineError):
    """Git could not fetch or check out the commit."""


class BranchNotFound(CloneFailed):
    """The branch or commit does not exist; the sentence names the branches that do."""


class HostKeyRefused(CloneFailed):
    """An SSH server's key has not been confirmed yet, or is another one than was."""


class BuildFailed(EngineError):
    """The image could not be built; `detail` holds the failing step's last lines."""


class DockerfileNotFound(BuildFailed):
    """There is no Dockerfile where the app says; the hint names those that were found."""


class PullFailed(EngineError):
    """A ready image could not be brought from its registry."""


class ImageNotFound(PullFailed):
    """The registry has no such image, tag or digest, or none for this kind of machine."""


class RegistryDenied(PullFailed):
    """The registry wants a login, or another one."""


class RegistryUnreachable(PullFailed):
    """The registry does not answer, or Mist does not ask it."""


class StartFailed(EngineError):
    """The container could not be created or started."""


class CommandFailed(EngineError):
    """A release or post-deploy command ended badly."""


class HealthCheckFailed(EngineError):
    """The container never answered well on its port."""


class SwitchFailed(EngineError):
    """The proxy did not take up the new route in time."""


class OutOfDisk(EngineError):
    """No space left for a clone, a build or a log."""


MAKE_ROOM = "Make room with ./mist cleanup or on the page Storage, then {again}."
"""The hint for a full disk; `again` says what to do afterwards."""


class SecretsUnreadable(EngineError):
    """The key that secrets were encrypted with is missing, or another one."""


class TimedOut(EngineError):
    """A step took longer than its limit."""


class Cancelled(EngineError):
    """A person asked for the work to end."""


class HostProblem(EngineError):
    """The machine lacks something Mist needs: a free port, a program, a permission."""
