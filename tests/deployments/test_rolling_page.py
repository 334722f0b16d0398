"""What pages say of one that goes back after it was taking over container by container."""

from __future__ import annotations

from pathlib import Path

from django.test import Client

from apps.deployments.models import Deployment, Status
from apps.projects.models import App
from tests.deployments.test_deployment_page import A, inside, make

__all__ = ["inside"]


def test_it_says_how_far_what_was_live_is_back(inside: Client, web: App, data_dir: Path) -> None:
    make(web, Status.LIVE, container_id="a", replica_ids=["b", "c"])
    roll: dict[str, object] = {"serving": ["x", "b", "c"], "of": 3}
    gone = make(web, Status.CANCELLED, failed_stage="switching", roll=roll, owner="somebody")
    page = inside.get(f"{A}deployments/2/").content.decode()
    assert "Going back to #1" in page and "2 of 3" in page and "data-over" not in page
    assert "Cancel deployment" not in page and "Cancelled" in page
    assert "Going back to #1" in inside.get(A).content.decode()
    Deployment.objects.filter(pk=gone.pk).update(roll={"of": 3})
    page = inside.get(f"{A}deployments/2/").content.decode()
    assert "Draining #2" in page and "Going back" not in page and "data-over" not in page
    assert "Going back" not in inside.get(A).content.decode()
    Deployment.objects.filter(pk=gone.pk).update(roll=None, owner="")
    page = inside.get(f"{A}deployments/2/").content.decode()
    assert "Draining" not in page and "data-over" in page
