"""What the doctor finds in a real Traefik."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.machine.live import LiveMist, live_mist
from tests.machine.world import wait_until

pytestmark = pytest.mark.docker
ABOUT = ("Traefik", "Routes")


def checks(mist: LiveMist) -> dict[str, tuple[bool, str]]:
    """What the doctor says of Traefik, and that its exit status goes with it."""
    done = mist.result("doctor", "--json")
    found = json.loads(done.stdout)
    assert done.returncode == any(check["needed"] and not check["ok"] for check in found)
    return {
        check["name"]: (check["ok"], check["says"])
        for check in found
        if check["name"].startswith(ABOUT)
    }


def bad(mist: LiveMist) -> dict[str, str]:
    return {name: says for name, (ok, says) in checks(mist).items() if not ok}


def test_it_finds_nothing_until_something_is_wrong(tmp_path: Path) -> None:
    with live_mist(tmp_path / "data") as mist:
        mist.run("demo", "--no-open")
        found = checks(mist)
        assert all(ok for ok, _ in found.values()), found
        assert found["Traefik's routes"][1] == "4 in 3 files, all taken up"
        assert found["Traefik and apps"][1] == "apps of 1 project are reached"
        assert "Docker" in found["Traefik and the engine"][1]

        home = mist.data_dir / "traefik"
        [route] = (home / "dynamic").glob("app-*.yml")
        content = json.loads(route.read_text())
        router = content["http"]["routers"][route.stem]
        kept = dict(router)
        router["middlewares"] = ["nobody"]
        route.write_text(json.dumps(content))
        nowhere = "demo/hello has a route that leads nowhere, a part of it is missing: nobody"
        wait_until(lambda: list(bad(mist).values()) == [nowhere], "the doctor's word on a route")

        # Traefik reads all files or none: it leads on as it did.
        (home / "dynamic" / "app-999.yml").write_text("{{")
        content["http"]["routers"][route.stem] = kept
        route.write_text(json.dumps(content))
        unread = "app 999 has a file that cannot be read"

        def tells_the_file() -> bool:
            return [one.startswith(unread) for one in bad(mist).values()] == [True]

        wait_until(tells_the_file, "the doctor's word on a file")
        (home / "dynamic" / "app-999.yml").unlink()
        wait_until(lambda: bad(mist) == {}, "a clean bill")

        mist.env["MIST_BIND"] = "127.0.0.2"
        found_now = bad(mist)
        assert found_now["Traefik's configuration"].startswith("not what the settings")
        assert "nothing listens there" in found_now["Traefik's entry points"]
        mist.env["MIST_BIND"] = "127.0.0.1"

        mist.run("down", "--proxy")
        assert bad(mist) == {"Traefik": "not running, so no app answers"}
