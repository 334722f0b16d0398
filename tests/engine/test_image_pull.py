"""What an engine says of a pull, in Mist's words."""

from __future__ import annotations

import pytest

from apps.engine.errors import (
    EngineError,
    ImageNotFound,
    OutOfDisk,
    PullFailed,
    RegistryDenied,
    RegistryUnreachable,
)
from apps.engine.image_names import parse_image_name
from apps.engine.pull_errors import pull_failed
from apps.engine.pull_progress import PullProgress

IMAGE = parse_image_name("ghcr.io/halden/denied-certificate:1")


@pytest.mark.parametrize(
    ("message", "kind", "says"),
    [
        # Engine 20.10
        ("manifest for ghcr.io/halden/denied-certificate:1 not found: manifest unknown: manifest unknown", ImageNotFound, "with the tag 1"),
        ("pull access denied for ghcr.io/halden/denied-certificate, repository does not exist or may require 'docker login': denied: requested access to the resource is denied", RegistryDenied, "does not show"),
        ('Head "https://ghcr.io/v2/halden/denied-certificate/manifests/1": no basic auth credentials', RegistryDenied, "does not show"),
        ("unauthorized: authentication required", RegistryDenied, "does not show"),
        ('Get "https://ghcr.io/v2/": dial tcp 1.2.3.4:443: connect: connection refused', RegistryUnreachable, "does not answer"),
        ('Get "https://ghcr.io/v2/": dial tcp: lookup ghcr.io on 10.0.0.1:53: no such host', RegistryUnreachable, "leads nowhere"),
        ('Get "https://ghcr.io/v2/": net/http: request canceled while waiting for connection (Client.Timeout exceeded while awaiting headers)', RegistryUnreachable, "does not answer"),
        ('Get "https://ghcr.io/v2/": http: server gave HTTP response to HTTPS client', RegistryUnreachable, "without TLS"),
        ('Get "https://ghcr.io/v2/": x509: certificate signed by unknown authority', RegistryUnreachable, "is not trusted"),
        ("toomanyrequests: You have reached your pull rate limit. You may increase the limit by authenticating", PullFailed, "its limit is reached"),
        ("no matching manifest for linux/amd64 in the manifest list entries", ImageNotFound, r"kind of server \(linux/amd64\)"),
        ("write /var/lib/docker/tmp/GetImageBlob1: no space left on device", OutOfDisk, "disk space"),
        ("received unexpected HTTP status: 503 Service Unavailable", RegistryUnreachable, "does not answer"),
        # Engine 29, whose images containerd keeps
        ('failed to resolve reference "ghcr.io/halden/denied-certificate:1": ghcr.io/halden/denied-certificate:1: not found', ImageNotFound, "with the tag 1"),
        ('failed to resolve reference "ghcr.io/halden/denied-certificate:1": pull access denied, repository does not exist or may require authorization: server message: insufficient_scope: authorization failed', RegistryDenied, "does not show"),
        ('failed to resolve reference "ghcr.io/halden/denied-certificate:1": failed to authorize: failed to fetch anonymous token: unexpected status from GET request to https://ghcr.io/token: 403 Forbidden', RegistryDenied, "does not show"),
        ('failed to do request: Head "https://ghcr.io/v2/halden/denied-certificate/manifests/1": dial tcp 1.2.3.4:443: connect: connection refused', RegistryUnreachable, "does not answer"),
        ("no match for platform in manifest: not found", ImageNotFound, "kind of server"),
        ("unexpected status from HEAD request to https://ghcr.io/v2/x: 429 Too Many Requests", PullFailed, "its limit is reached"),
        ("something that nobody foresaw", PullFailed, "could not be pulled"),
    ],
)  # fmt: skip
def test_every_reason_has_its_sentence(message: str, kind: type[EngineError], says: str) -> None:
    reason = pull_failed(IMAGE, message, user="")
    assert type(reason) is kind and reason.hint and reason.detail == message
    with pytest.raises(kind, match=says):
        raise reason


def test_a_login_that_was_refused_is_told_by_its_user() -> None:
    reason = pull_failed(IMAGE, "unauthorized: incorrect username or password", user="robin")
    assert reason.sentence.startswith("ghcr.io refused the login of robin")


def test_progress_is_told_once_a_second_and_at_the_end() -> None:
    progress = PullProgress()
    layers = ["a" * 12, "b" * 12]
    lines = [progress.take({"status": "Pulling from halden/shop", "id": "d" * 40}, 0)]
    lines += [progress.take({"status": "Pulling fs layer", "id": layer}, 0.1) for layer in layers]
    for tick in range(1, 21):
        detail = {"current": tick * 1_000_000, "total": 20_000_000}
        item = {"status": "Downloading", "id": layers[0], "progressDetail": detail}
        lines.append(progress.take(item, 0.1 + tick / 10))
    for layer in layers:
        lines.append(progress.take({"status": "Extracting", "id": layer}, 2.15))
        lines.append(progress.take({"status": "Pull complete", "id": layer}, 2.2))
    digest = f"sha256:{'c' * 64}"
    lines.append(progress.take({"status": f"Digest: {digest}"}, 2.3))
    assert [line for line in lines if line] == [
        "Pulling from halden/shop",
        "0 of 1 layers are here",
        "0 of 2 layers are here, 10.0 of 20.0 MB came",
        "0 of 2 layers are here, 20.0 of 20.0 MB came",
        "2 of 2 layers are here",
        f"Digest: {digest}",
    ]
    assert progress.digest == digest
