"""What can go wrong between Mist and GitHub, one class per reason that somebody acts on."""

from __future__ import annotations

from apps.engine.errors import EngineError


class GitHubError(EngineError):
    """Base of all reasons."""


class GitHubAway(GitHubError):
    """It does not answer, or answers that it cannot now: to be tried again."""


class GitHubLimited(GitHubAway):
    """Too much was asked of it. `retry_at`: when it may be asked again, in seconds since the
    epoch."""

    def __init__(self, sentence: str, *, retry_at: float, hint: str = "") -> None:
        super().__init__(sentence, hint=hint)
        self.retry_at = retry_at


class GitHubRefused(GitHubError):
    """It understood, and does not do it. To ask again would not help."""


class GitHubKeyRefused(GitHubRefused):
    """It does not know the key or token that was shown."""


class GitHubGone(GitHubRefused):
    """What was asked for is not there, or not for Mist to see."""


class GitHubSuspended(GitHubRefused):
    """The account's owner has suspended the installation."""


class GitHubMoved(GitHubRefused):
    """It is under another name now. Mist follows no redirect."""
