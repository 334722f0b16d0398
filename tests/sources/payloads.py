"""Messages of Git hosts, as their documentation shows them, with what a test needs changed."""

from __future__ import annotations

import json
import zlib
from typing import Any

NONE = "0" * 40
FIRST, SECOND = (
    "95790bf891e76fee5e1747ab589903a6a1f80f22",
    "da1560886d4f094c3e6c9ef40349f7d38b5d27d7",
)
WEB = "shop/web"


def github_push(
    *,
    ref: str = "refs/heads/main",
    after: str = SECOND,
    before: str = FIRST,
    message: str = "Add a cart",
    repository: str = WEB,
    number: int = 17,
    host: str = "https://git.example.com",
    paths: tuple[str, ...] = ("Dockerfile",),
    **more: Any,
) -> dict[str, Any]:
    """GitHub Docs, "Webhook events and payloads", push."""
    head = {
        "id": after,
        "tree_id": "31b122c26a97cf9af023e9ddab94a82c6e77b0ea",
        "distinct": True,
        "message": message,
        "timestamp": "2026-01-02T03:04:05+01:00",
        "url": f"{host}/{repository}/commit/{after}",
        "author": {"name": "Alice Halden", "email": "alice@example.com", "username": "alice"},
        "committer": {"name": "GitHub", "email": "noreply@github.com", "username": "web-flow"},
        "added": [],
        "removed": [],
        "modified": list(paths),
    }
    gone = after == NONE
    return {
        "ref": ref,
        "before": before,
        "after": after,
        "created": before == NONE,
        "deleted": gone,
        "forced": False,
        "base_ref": None,
        "compare": f"{host}/{repository}/compare/{before}...{after}",
        "commits": [] if gone else [head],
        "head_commit": None if gone else head,
        "repository": {
            "id": number,
            "name": repository.rpartition("/")[2],
            "full_name": repository,
            "private": True,
            "fork": False,
            "html_url": f"{host}/{repository}",
            "clone_url": f"{host}/{repository}.git",
            "ssh_url": f"git@{host.rpartition('/')[2]}:{repository}.git",
            "git_url": f"git://{host.rpartition('/')[2]}/{repository}.git",
            "default_branch": "main",
        },
        "pusher": {"name": "alice", "email": "alice@example.com"},
        "sender": {"login": "alice", "id": 1, "type": "User"},
        **more,
    }


def gitea_push(**more: Any) -> dict[str, Any]:
    """Gitea Documentation, "Webhooks", "Event information"; Forgejo says the same."""
    commit = {
        "id": SECOND,
        "message": "Add a cart\n\nWith wheels.",
        "url": f"https://git.example.com/{WEB}/commit/{SECOND}",
        "author": {"name": "Alice Halden", "email": "alice@example.com", "username": "alice"},
        "committer": {"name": "Alice Halden", "email": "alice@example.com", "username": "alice"},
        "verification": None,
        "timestamp": "2026-01-02T03:04:05+01:00",
        "added": [],
        "removed": [],
        "modified": ["services/web/main.py"],
    }
    return {
        "ref": "refs/heads/main",
        "before": FIRST,
        "after": SECOND,
        "compare_url": f"https://git.example.com/{WEB}/compare/{FIRST}...{SECOND}",
        "commits": [commit],
        "total_commits": 1,
        "head_commit": commit,
        "repository": {
            "id": 140,
            "owner": {"id": 1, "login": "shop", "username": "shop"},
            "name": "web",
            "full_name": WEB,
            "private": True,
            "fork": False,
            "html_url": f"https://git.example.com/{WEB}",
            "ssh_url": f"ssh://gitea@git.example.com:2222/{WEB}.git",
            "clone_url": f"https://git.example.com/{WEB}.git",
            "default_branch": "main",
        },
        "pusher": {"id": 1, "login": "alice", "username": "alice"},
        "sender": {"id": 1, "login": "alice", "username": "alice"},
        **more,
    }


def gitlab_push(**more: Any) -> dict[str, Any]:
    """GitLab Docs, "Webhook events", "Push events"."""
    return {
        "object_kind": "push",
        "event_name": "push",
        "before": FIRST,
        "after": SECOND,
        "ref": "refs/heads/main",
        "ref_protected": True,
        "checkout_sha": SECOND,
        "message": None,
        "user_id": 4,
        "user_name": "Alice Halden",
        "user_username": "alice",
        "user_email": "",
        "project_id": 15,
        "project": {
            "id": 15,
            "name": "web",
            "web_url": f"https://git.example.com/{WEB}",
            "git_ssh_url": f"git@git.example.com:{WEB}.git",
            "git_http_url": f"https://git.example.com/{WEB}.git",
            "namespace": "shop",
            "visibility_level": 0,
            "path_with_namespace": WEB,
            "default_branch": "main",
        },
        "repository": {
            "name": "web",
            "url": f"git@git.example.com:{WEB}.git",
            "git_http_url": f"https://git.example.com/{WEB}.git",
            "git_ssh_url": f"git@git.example.com:{WEB}.git",
            "visibility_level": 0,
        },
        "commits": [
            {
                "id": SECOND,
                "message": "Add a cart\n\nWith wheels.",
                "title": "Add a cart",
                "timestamp": "2026-01-02T03:04:05+01:00",
                "url": f"https://git.example.com/{WEB}/-/commit/{SECOND}",
                "author": {"name": "Alice Halden", "email": "alice@example.com"},
                "added": [],
                "modified": ["services/web/main.py"],
                "removed": [],
            }
        ],
        "total_commits_count": 1,
        "push_options": {},
        **more,
    }


def gitlab_tag(**more: Any) -> dict[str, Any]:
    """GitLab Docs, "Webhook events", "Tag events": `after` of an annotated tag is the tag."""
    return gitlab_push(
        object_kind="tag_push",
        event_name="tag_push",
        ref="refs/tags/v1.0.0",
        before=NONE,
        after="82b3d5ae55f7080f1e6022629cdb57bfae7cccc7",
        commits=[],
        total_commits_count=0,
        **more,
    )


def bitbucket_push(*changes: dict[str, Any]) -> dict[str, Any]:
    """Atlassian Support, "Event payloads", "Push"."""
    return {
        "actor": {"type": "user", "display_name": "Alice Halden", "nickname": "alice"},
        "repository": {
            "type": "repository",
            "name": "web",
            "full_name": WEB,
            "uuid": "{673a6070-3421-46c9-9d48-90745f7bfe8e}",
            "links": {
                "self": {"href": f"https://git.example.com/2.0/repositories/{WEB}"},
                "html": {"href": f"https://git.example.com/{WEB}"},
            },
            "is_private": True,
        },
        "push": {"changes": list(changes) or [bitbucket_change()]},
    }


def bitbucket_change(name: str = "main", kind: str = "branch", **more: Any) -> dict[str, Any]:
    place = f"https://git.example.com/{WEB}/commits/{SECOND}"
    target = {
        "type": "commit",
        "hash": SECOND,
        "author": {
            "type": "author",
            "raw": "Alice Halden <alice@example.com>",
            "user": {"type": "user", "display_name": "Alice Halden"},
        },
        "message": "Add a cart\n",
        "date": "2026-01-02T03:04:05+00:00",
        "parents": [{"type": "commit", "hash": FIRST}],
        "links": {"html": {"href": place}},
    }
    return {
        "new": {"type": kind, "name": name, "target": target},
        "old": {"type": kind, "name": name, "target": {"type": "commit", "hash": FIRST}},
        "created": False,
        "forced": False,
        "closed": False,
        "commits": [{"type": "commit", "hash": SECOND, "message": "Add a cart\n"}],
        "truncated": False,
        **more,
    }


PUSHES: dict[str, tuple[str, dict[str, Any]]] = {
    "github": ("push", github_push()),
    "gitea": ("push", gitea_push()),
    "gitlab": ("Push Hook", gitlab_push()),
    "bitbucket": ("repo:push", bitbucket_push()),
}
"""A push of each kind of host: the event and the message."""


def kept_push() -> bytes:
    """A push as a delivery keeps it."""
    return zlib.compress(json.dumps(github_push()).encode())
