"""What a clean-up removes, of facts alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from apps.deployments.retention import DAY, Limits, Version
from apps.engine.disk import EngineDisk, StoredImage, StoredNetwork
from apps.storage.planning import Entry, Inventory, Kind, Removal, own_image, plan_cleanup

MB = 1_000_000
NOW = 1_800_000_000.0
OURS = {"mist.instance": "abc", "mist.name": "shop/web", "mist.app": "1"}
LIMITS = Limits(count=1, days=30)


def image(pk: int, *, names: tuple[str, ...] | None = None, **facts: object) -> StoredImage:
    return replace(
        StoredImage(
            id=f"sha256:{pk}",
            names=(name(pk),) if names is None else names,
            labels={**OURS, "mist.deployment": str(pk)},
            size=100 * MB,
            shared=80 * MB,
        ),
        **facts,  # type: ignore[arg-type]
    )


def name(pk: int) -> str:
    return f"mist/web-shop-abc:{pk}"


def world(*images: StoredImage, **facts: object) -> Inventory:
    disk = EngineDisk(images=images, layers=sum(one.own for one in images) + 80 * MB)
    return replace(Inventory("abc", NOW, disk=disk, apps={1: "shop/web"}), **facts)  # type: ignore[arg-type]


def removed(found: Inventory) -> list[tuple[str, str]]:
    plan = plan_cleanup(found, LIMITS, cache_budget=0)
    return [(removal.name, removal.reason) for removal in plan.removals]


def test_versions_beyond_the_limits_go_with_the_reason() -> None:
    versions = [
        Version(9, 1, name(9), is_live=True),
        Version(8, 1, name(8), replaced_at=NOW - 40 * DAY),
        Version(7, 1, name(7), replaced_at=NOW - 50 * DAY),
        Version(6, 1, name(6), replaced_at=NOW - 60 * DAY, is_pinned=True),
    ]
    found = world(
        *(image(pk) for pk in (9, 8, 7, 6)),
        versions={1: versions},
        images_in_use={name(pk) for pk in (9, 8, 7, 6)},
        deployments={9: "live", 8: "retired", 7: "retired", 6: "retired"},
    )
    assert plan_cleanup(found, LIMITS, cache_budget=0).removals == (
        Removal(
            Kind.IMAGE, name(8), "replaced more than 30 days ago",
            100 * MB, 20 * MB, "shop/web", versions[1],
        ),
        Removal(
            Kind.IMAGE, name(7), "replaced, and 1 newer are kept",
            100 * MB, 20 * MB, "shop/web", versions[2],
        ),
    )  # fmt: skip


def test_images_that_no_deployment_needs_go() -> None:
    found = world(
        image(1),
        image(2),
        image(3),
        image(4, names=()),
        deployments={1: "failed", 2: "retired", 4: "live"},
    )
    assert removed(found) == [
        (name(1), "of a deployment that failed"),
        (name(2), "no longer kept"),
        (name(3), "its app is deleted"),
        ("sha256:4", "untagged: a later build took its name"),
    ]


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(image(1, labels={}, names=("shop/web:1",)), id="foreign"),
        pytest.param(image(1, labels={}, names=()), id="foreign and dangling"),
        pytest.param(image(1, labels={**OURS, "mist.instance": "xyz"}), id="of another Mist"),
        pytest.param(image(1, names=("mine/app:1",)), id="built on one of ours, named by others"),
        pytest.param(image(1, names=("mist/web-shop-xyz:1",)), id="named by another Mist"),
        pytest.param(image(1, is_used=True), id="a container was made of it"),
        pytest.param(image(1, names=(), is_used=True), id="a container runs the dangling one"),
        pytest.param(image(5), id="built and not recorded yet"),
        pytest.param(image(5, names=()), id="being built"),
        pytest.param(image(7), id="in use"),
    ],
)
def test_what_somebody_may_need_stays(kept: StoredImage) -> None:
    found = world(kept, unfinished={5}, deployments={5: "building"}, images_in_use={name(7)})
    assert removed(found) == []


def test_an_old_version_that_a_container_still_runs_waits_for_the_next_clean_up() -> None:
    old = Version(8, 1, name(8), replaced_at=NOW - 400 * DAY)
    found = world(image(8, is_used=True), versions={1: [old]}, images_in_use={name(8)})
    assert removed(found) == []


def test_networks_and_files_of_what_is_gone_go() -> None:
    found = Inventory(
        "abc",
        NOW,
        networks=[
            StoredNetwork("mist-abc-1"),
            StoredNetwork("mist-abc-2"),
            StoredNetwork("mist-abc-3", is_used=True),
            StoredNetwork("theirs"),
        ],
        known_networks={"mist-abc-1"},
        checkouts=[Entry("builds/1", 1, 10), Entry("builds/2", 2, 20), Entry("builds/9", 9, 30)],
        mirrors=[Entry("repos/1", 1, 10), Entry("repos/2", 2, 20)],
        logs=[Entry("logs/1.log", 1, 10), Entry("logs/3.log", 3, 30)],
        apps={1: "shop/web"},
        deployments={1: "failed", 2: "building"},
        unfinished={2},
    )
    assert [one.name for one in plan_cleanup(found, LIMITS, cache_budget=0).removals] == [
        "mist-abc-2",
        "builds/1",
        "builds/9",
        "repos/2",
        "logs/3.log",
    ]
    plan = plan_cleanup(found, LIMITS, cache_budget=0)
    assert (plan.least, plan.most) == (90, 90)


@pytest.mark.parametrize(
    ("disk", "budget", "freed", "prunes"),
    [
        # Nothing goes; the cache is pruned to its budget or left alone.
        (EngineDisk(cache=9, cache_in_images=50), 5, (4, 4), True),
        (EngineDisk(cache=4, cache_in_images=50), 5, (0, 0), False),
        # The base of both images stays with the kept one: its own layers are all that goes.
        (EngineDisk((image(1), image(2)), layers=120 * MB), 0, (20 * MB, 20 * MB), False),
        # No image is kept, so what they have in common goes too.
        (EngineDisk((image(1), image(3)), layers=120 * MB), 0, (40 * MB, 120 * MB), False),
        # The build cache has the same layers and room for them: they stay on the disk.
        (
            EngineDisk((image(1), image(2)), layers=120 * MB, cache_in_images=30 * MB),
            100 * MB,
            (0, 20 * MB),
            False,
        ),
        # It has no room for them: pruning it frees them.
        (
            EngineDisk((image(1), image(2)), layers=120 * MB, cache_in_images=30 * MB),
            0,
            (20 * MB, 20 * MB),
            True,
        ),
    ],
)
def test_it_says_how_much_is_freed(
    disk: EngineDisk, budget: int, freed: tuple[int, int], prunes: bool
) -> None:
    found = Inventory("abc", NOW, disk=disk, images_in_use={name(2)})
    plan = plan_cleanup(found, LIMITS, cache_budget=budget)
    assert ((plan.least, plan.most), plan.prunes_cache) == (freed, prunes)


def test_an_image_with_another_name_frees_nothing() -> None:
    found = world(image(1, names=(name(1), "theirs/copy:1")))
    plan = plan_cleanup(found, LIMITS, cache_budget=0)
    assert [(one.name, one.own) for one in plan.removals] == [(name(1), 0)]
    assert (plan.least, plan.most) == (0, 0)


@pytest.mark.parametrize(
    ("text", "pk"),
    [
        ("mist/web-shop-abc:12", 12),
        ("mist/web-shop-xyz:12", None),
        ("mist/web-shop-abc:latest", None),
        ("mist/sample-base:1", None),
        ("registry/mist/web-shop-abc:12", None),
    ],
)
def test_it_knows_the_names_that_this_instance_gives(text: str, pk: int | None) -> None:
    assert own_image(text, "abc") == pk


def pulled(*names: str, **facts: object) -> StoredImage:
    return image(0, names=names, labels={}, **facts)


def test_a_pulled_image_goes_with_its_last_name_of_ours() -> None:
    found = world(pulled(name(1), name(2)), images_in_use={name(2)})
    assert removed(found) == [(name(1), "its app is deleted")]
    assert removed(world(pulled(name(1)))) == [(name(1), "its app is deleted")]
    # Somebody has it by a name of their own: ours goes, and frees nothing.
    own = plan_cleanup(world(pulled("nginx:1.27", name(1))), LIMITS, cache_budget=0).removals
    assert [(one.name, one.size) for one in own] == [(name(1), 0)]


@pytest.mark.parametrize(
    "kept",
    [
        pytest.param(pulled("nginx:1.27"), id="of somebody"),
        pytest.param(pulled(name(1), is_used=True), id="a container was made of it"),
        pytest.param(pulled(name(5)), id="being pulled"),
        pytest.param(pulled("mist/web-shop-xyz:1"), id="of another Mist"),
    ],
)
def test_a_pulled_image_that_somebody_may_need_stays(kept: StoredImage) -> None:
    assert removed(world(kept, unfinished={5}, deployments={5: "pulling"})) == []


def test_an_old_version_goes_though_a_newer_one_runs_the_same_pulled_image() -> None:
    versions = [
        Version(9, 1, name(9), is_live=True),
        Version(8, 1, name(8), replaced_at=NOW - 40 * DAY),
    ]
    found = world(
        pulled(name(9), name(8), is_used=True),
        versions={1: versions},
        images_in_use={name(9), name(8)},
    )
    assert removed(found) == [(name(8), "replaced more than 30 days ago")]
