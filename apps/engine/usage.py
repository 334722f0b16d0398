"""What a container, or the machine, has used: counters that are read now and then."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Usage:
    """What a container has used since it began, and what it holds now. Counters begin again at
    zero with each start."""

    cpu: int
    """Time on all cores, in microseconds."""
    memory: int
    """Bytes, without file pages that the kernel may drop at any time (as `docker stats`)."""
    received: int
    """Bytes from the network."""
    sent: int
    read: int
    """Bytes from block devices."""
    written: int
    pids: int
    """Processes and threads now."""
