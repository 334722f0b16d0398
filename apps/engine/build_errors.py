"""What a failed build's output says, in a sentence for a person."""

from __future__ import annotations

import re
from collections import defaultdict, deque

from apps.engine.data import BuildSpec
from apps.engine.errors import MAKE_ROOM, BuildFailed, EngineAway, EngineError, OutOfDisk

_STEP = re.compile(r"^#(\d+) \[(.*?)\] (.*)$")
_OUTPUT = re.compile(r"^#(\d+) (.*)$")
_FAILED = re.compile(r"^#(\d+) ERROR: (.*)$")
_EXIT = re.compile(r"exit code: (\d+)|returned a non-zero code: (\d+)")
_METADATA = "[internal] load metadata for "
_SYNTAX = re.compile(r"dockerfile parse error (?:on )?line (\d+): (.*)", re.IGNORECASE)
_MISSING = re.compile(r'"/?([^"]+)"(?:: not found| not found)')
_AWAY = re.compile(
    r"Cannot connect to the Docker daemon|transport is closing|error reading from server: EOF"
    r"|code = Unavailable|connection (?:refused|reset by peer)|closing transport|dial unix"
    r"|^unexpected EOF$"
)
"""What the client says, outside of any step, when it loses the engine."""
_PULL = "failed to do request"
"""In what an engine that lives says of a registry which it does not reach."""
_DIGEST = re.compile(r"^#\d+ sha256:[0-9a-f]{64}$")
KEPT = 20


def is_noise(text: str) -> bool:
    """Whether the line is a step's digest, which older clients print after each step's name."""
    return _DIGEST.match(text) is not None


class BuildOutput:
    """Follows a plain BuildKit log, remembering each step's name and last lines."""

    def __init__(self, spec: BuildSpec) -> None:
        self._spec = spec
        self._names: dict[str, tuple[str, str]] = {}
        self._lines: dict[str, deque[str]] = defaultdict(lambda: deque(maxlen=KEPT))
        self._images: dict[str, str] = {}
        self._last: deque[str] = deque(maxlen=KEPT)
        self._failed: tuple[str, str] | None = None

    def add(self, text: str) -> None:
        self._last.append(text)
        if found := _FAILED.match(text):
            self._failed = (found[1], found[2])
        elif _METADATA in text:
            self._images[text.partition(" ")[0][1:]] = text.partition(_METADATA)[2]
        elif (found := _STEP.match(text)) and not found[2].startswith("internal"):
            self._names[found[1]] = (found[2], found[3])
        elif found := _OUTPUT.match(text):
            self._lines[found[1]].append(re.sub(r"^\d+\.\d+ ", "", found[2]))

    def failure(self, status: int) -> EngineError:
        """The reason, most telling first."""
        tail = "\n".join(self._last)
        if "no space left on device" in tail.lower():
            return OutOfDisk(
                "The build ran out of disk space.",
                hint=MAKE_ROOM.format(again="deploy again"),
                detail=tail,
            )
        own = [line for line in self._last if not line.startswith("#") and _PULL not in line]
        if any(_AWAY.search(line) for line in own):
            return EngineAway(
                "The Docker engine went away during the build.",
                hint="Run ./mist doctor to see why, and deploy again.",
                detail=tail,
            )
        if found := _SYNTAX.search(tail):
            return BuildFailed(
                f"The Dockerfile has an error on line {found[1]}: {found[2]}.",
                hint="Correct that line and deploy again.",
                detail=tail,
            )
        if self._failed is not None:
            return self._step_failure(*self._failed)
        return BuildFailed(
            f"The build failed (exit code {status}).",
            hint="Read the last lines of the build log.",
            detail=tail,
        )

    def _step_failure(self, step: str, reason: str) -> BuildFailed:
        place, command = self._names.get(step, ("", ""))
        lines = "\n".join(self._lines.get(step, ())) or "\n".join(self._last)
        image = self._images.get(step, "")
        if image or command.startswith("FROM "):
            short = (
                (image or command.split()[1]).removeprefix("docker.io/").removeprefix("library/")
            )
            return BuildFailed(
                f"The base image {short} could not be pulled.",
                hint="Check the name in the Dockerfile's FROM line, and that this server reaches "
                "the image's registry.",
                detail=reason,
            )
        where = re.search(r"(\d+/\d+)", place)
        name = f"Build step {where[1]} failed" if where else "A build step failed"
        if command.startswith(("COPY", "ADD")) and (found := _MISSING.search(reason)):
            return BuildFailed(
                f"{name}: {command[:120]} (there is no {found[1]}).",
                hint="The path counts from the app's root directory, and .dockerignore may hide "
                "it.",
                detail=lines,
            )
        code = _EXIT.search(reason)
        ending = f" (exit code {code[1] or code[2]})" if code else ""
        hint = "Read its last lines, correct the cause and deploy again."
        if code and (code[1] or code[2]) == "137":
            hint = (
                "The step was killed, most likely because builds used more memory than they may. "
                "Let it use less, or raise MIST_BUILD_MEMORY_MB."
            )
        return BuildFailed(f"{name}: {command[:160]}{ending}.", hint=hint, detail=lines)
