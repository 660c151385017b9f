"""What people ask afterwards: verify, status, plan, select, doctor."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from pagebind.app import select
from pagebind.app.doctor import doctor
from pagebind.app.plan import Rates, make_plan
from pagebind.app.select import Named
from pagebind.app.status import status
from pagebind.app.verify import Verify
from pagebind.core.planner import State
from pagebind.core.watch import Watch
from pagebind.errors import AuthRefused, ListingFailed, UsageError
from pagebind.ports.source import Drive

if TYPE_CHECKING:
    from tests.app.world import World

KEY = "A/A.cbz"


@pytest.fixture
def bound(world: World) -> World:
    world.source.folder("/c/A", "1.jpg", "2.jpg")
    world.run()
    return world


def verified(world: World, *, read: bool) -> str | None:
    verify = Verify(world.folders, world.books, read=read)
    inventory, named = verify.books()
    [one] = named.values()
    problem = verify.check(inventory, one).problem
    return problem.message if problem else None


@pytest.mark.parametrize("read", [False, True])
def test_a_whole_book_is_verified(bound: World, read: bool) -> None:
    assert verified(bound, read=read) is None


@pytest.mark.parametrize(
    ("at", "says"), [(70, "page 1.jpg is damaged"), (200, "page 2.jpg is damaged"), (-3, "its end")]
)
def test_a_wrong_byte_is_found_by_reading(bound: World, at: int, says: str) -> None:
    path = bound.root / "library" / KEY
    info = bound.books.head(KEY)
    assert info is not None
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    stat = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))

    assert verified(bound, read=False) is None
    assert says in (verified(bound, read=True) or "")


def test_a_removed_and_a_changed_book_are_told_apart(bound: World) -> None:
    path = bound.root / "library" / KEY
    path.write_bytes(b"edited")
    assert "not the one" in (verified(bound, read=False) or "")
    path.unlink()
    assert "not in the library" in (verified(bound, read=False) or "")


def test_status_asks_the_stores_alone(bound: World) -> None:
    bound.source.folder("/c/B", "1.jpg")
    bound.run(settle=None)
    bound.source.down = AuthRefused("no")

    seen = status(bound.folders, bound.books, bound.policy, bound.clock, {})

    assert {volume.path: volume.state for volume in seen.volumes} == {"/c/A": State.BOUND, "/c/B": State.WAITING}
    assert seen.last_run is not None


def test_status_of_nothing(world: World) -> None:
    seen = status(world.folders, world.books, world.policy, world.clock, {})

    assert (seen.volumes, seen.last_run) == ([], None)


def test_a_plan_sums_up(world: World) -> None:
    world.source.folder("/c/A", "1.jpg", "2.jpg")

    plan = make_plan(world.parts().plan(), (), rates=Rates(0.5, 0.0), own_rates={})

    assert (plan.requests, plan.bytes, plan.seconds) == (2, 240, 4.0)
    assert world.names("") == []


def test_a_subscription_with_rates_of_its_own_takes_its_own_time(world: World) -> None:
    world.watches = (*world.watches, Watch("/slow", "{series}/{volume}.cbz"))
    world.source.folder("/c/A", "1.jpg", "2.jpg")
    world.source.folder("/slow/B", "1.jpg", "2.jpg", "3.jpg")

    def seconds(own: Rates) -> float | None:
        return make_plan(world.parts().plan(), (), rates=Rates(2.0, 0.0), own_rates={"/slow": own}).seconds

    assert seconds(Rates(0.5, 0.0)) == 6.0
    assert seconds(Rates(0.0, 0.0)) == 1.0


def test_a_plan_without_any_root_fails(world: World) -> None:
    with pytest.raises(ListingFailed):
        make_plan(world.parts().plan(), (), rates=Rates(0.0, 0.0), own_rates={})


KNOWN = [
    Named("id-1", "/c/S/1", "S/1.cbz"),
    Named("id-2", "/c/S/2", "S/2.cbz"),
    Named("id-3", "/c/T/1", "T/1.cbz"),
]


@pytest.mark.parametrize(
    ("word", "found"),
    [
        ("/c/S/1", ["id-1"]),
        ("/c/S/1/", ["id-1"]),
        ("S/2.cbz", ["id-2"]),
        ("id-3", ["id-3"]),
        ("S/1", ["id-1"]),
        ("/c/S/*", ["id-1", "id-2"]),
        ("*/1.cbz", ["id-1", "id-3"]),
    ],
)
def test_volumes_are_found_by_all_their_names(word: str, found: list[str]) -> None:
    assert [named.volume for named in select.volumes(word, KNOWN)] == found


@pytest.mark.parametrize(("word", "says"), [("1", "means 2 volumes"), ("9", "no volume"), ("x*", "no volume")])
def test_a_word_that_means_no_one_volume_is_refused(word: str, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        select.volumes(word, KNOWN)


def test_paths_lie_in_subscriptions() -> None:
    watches = [Watch("/c", "{volume}.cbz")]

    assert select.paths(["c//A/", "/c"], watches) == ("/c/A", "/c")
    for word in ("/d", "/cc", "/c/../d", "/"):
        with pytest.raises(UsageError):
            select.paths([word], watches)


def checks(world: World) -> dict[str, str]:
    checks = doctor(world.source, world.folders, world.books, world.watches, one_server=False)
    return {check.name: check.status for check in checks}


def test_a_healthy_world(bound: World) -> None:
    before = bound.files("library")
    bound.source.all_drives = [Drive("/c", "Local", "work"), Drive("/d", "115", "token expired")]

    found = checks(bound)

    assert found.pop("drive /d") == "fail"
    assert set(found.values()) == {"ok"}
    assert bound.files("library") == before


def test_after_refused_credentials_the_server_is_left_in_peace(bound: World) -> None:
    bound.source.listed.clear()
    bound.source.down = AuthRefused("no")

    assert "fail" in checks(bound).values()
    assert bound.source.listed == []


def test_doctor_says_what_refused_refreshing_costs(bound: World) -> None:
    bound.source.refresh_refused = True

    assert checks(bound)["subscription /c"] == "warn"
