"""Where a checkout's Dockerfile is looked for, and what a stranger's checkout cannot make us read."""

from __future__ import annotations

from pathlib import Path

import pytest

from apps.engine.errors import DockerfileNotFound, InvalidSource
from apps.engine.sources import find_dockerfile, resolve_inside


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "checkout"
    (root / "services" / "web").mkdir(parents=True)
    (root / "services" / "web" / "Dockerfile").write_text("FROM x\n")
    (root / "deploy").mkdir()
    (root / "deploy" / "Dockerfile.prod").write_text("FROM x\n")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "Dockerfile").write_text("FROM secret\n")
    return root


def test_it_finds_the_dockerfile_under_the_root_directory(checkout: Path) -> None:
    context, dockerfile = find_dockerfile(checkout, "services/web", "Dockerfile")
    assert context == checkout / "services" / "web"
    assert dockerfile == context / "Dockerfile"


def test_it_finds_a_dockerfile_of_another_name(checkout: Path) -> None:
    context, dockerfile = find_dockerfile(checkout, "", "./deploy/Dockerfile.prod")
    assert (context, dockerfile) == (checkout, checkout / "deploy" / "Dockerfile.prod")


def test_an_empty_dockerfile_path_means_the_usual_name(checkout: Path) -> None:
    assert find_dockerfile(checkout, "services/web", "")[1].name == "Dockerfile"


def test_the_hint_names_the_dockerfiles_that_are_there(checkout: Path) -> None:
    with pytest.raises(DockerfileNotFound) as caught:
        find_dockerfile(checkout, "", "Dockerfile")
    assert caught.value.sentence == "The repository has no Dockerfile at 'Dockerfile'."
    assert "deploy/Dockerfile.prod, services/web/Dockerfile" in caught.value.hint


def test_the_hint_says_so_when_there_is_none(tmp_path: Path) -> None:
    with pytest.raises(DockerfileNotFound) as caught:
        find_dockerfile(tmp_path, "", "Dockerfile")
    assert "no Dockerfile anywhere" in caught.value.hint


def test_a_missing_root_directory_is_named(checkout: Path) -> None:
    with pytest.raises(DockerfileNotFound, match="no directory 'api'"):
        find_dockerfile(checkout, "api", "Dockerfile")


def test_a_directory_is_no_dockerfile(checkout: Path) -> None:
    with pytest.raises(DockerfileNotFound):
        find_dockerfile(checkout, "", "deploy")


@pytest.mark.parametrize("path", ["../outside/Dockerfile", "/etc/passwd", "deploy/../../outside/x"])
def test_a_path_out_of_the_checkout_is_refused(checkout: Path, path: str) -> None:
    with pytest.raises(InvalidSource):
        find_dockerfile(checkout, "", path)
    with pytest.raises(InvalidSource):
        find_dockerfile(checkout, path, "Dockerfile")


def test_a_symlink_out_of_the_checkout_is_refused(checkout: Path) -> None:
    (checkout / "Dockerfile").symlink_to("../outside/Dockerfile")
    (checkout / "app").symlink_to(checkout.parent / "outside")
    for root, path in [("", "Dockerfile"), ("app", "Dockerfile"), ("", "app/Dockerfile")]:
        with pytest.raises(InvalidSource, match="leaves the repository"):
            find_dockerfile(checkout, root, path)


def test_a_sibling_with_the_same_beginning_is_outside(checkout: Path) -> None:
    (checkout.parent / "checkout-2").mkdir()
    (checkout / "x").symlink_to("../checkout-2")
    with pytest.raises(InvalidSource):
        resolve_inside(checkout, "x")


def test_a_symlink_that_stays_inside_is_followed(checkout: Path) -> None:
    (checkout / "Dockerfile").symlink_to("deploy/Dockerfile.prod")
    assert find_dockerfile(checkout, "", "Dockerfile")[1].name == "Dockerfile.prod"


def test_a_symlink_to_itself_is_refused(checkout: Path) -> None:
    (checkout / "loop").symlink_to("loop")
    with pytest.raises((InvalidSource, DockerfileNotFound)):
        find_dockerfile(checkout, "loop", "Dockerfile")


def test_the_search_does_not_follow_symlinks(checkout: Path) -> None:
    (checkout / "app").symlink_to(checkout.parent / "outside")
    (checkout / "Dockerfile.host").symlink_to(checkout.parent / "outside" / "Dockerfile")
    with pytest.raises(DockerfileNotFound) as caught:
        find_dockerfile(checkout, "", "Dockerfile")
    assert "app/" not in caught.value.hint
    assert "Dockerfile.host" not in caught.value.hint


def test_the_search_is_bounded(tmp_path: Path) -> None:
    deep = tmp_path / "a" / "b" / "c" / "d" / "e"
    deep.mkdir(parents=True)
    (deep / "Dockerfile").write_text("FROM x\n")
    (tmp_path / "node_modules").mkdir()
    (tmp_path / "node_modules" / "Dockerfile").write_text("FROM x\n")
    with pytest.raises(DockerfileNotFound) as caught:
        find_dockerfile(tmp_path, "", "Dockerfile")
    assert "no Dockerfile anywhere" in caught.value.hint
