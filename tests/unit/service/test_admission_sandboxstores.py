"""Stores of confined users are opened as they are needed, and closed again."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.storage.local import LocalStore, StoreOptions
from dxlfiletransferservice.admission import sandboxstores
from dxlfiletransferservice.admission.sandboxstores import IDLE_SECONDS, SandboxStores
from tests.unit.service.admitting import Seconds, denied


class World:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.clock = Seconds()
        self.main = LocalStore(directory / "home" / "storage")
        self.stores = SandboxStores(
            self.main,
            directory / "home" / "storage",
            options=StoreOptions(),
            private=[directory / "home", self.main.layout.working],
            clock=self.clock,
        )

    def use(self, name: str) -> None:
        """Use a directory for a moment."""
        store, _, path = self.stores.taken(self.directory / name)
        assert store is not self.main
        assert path is not None
        self.stores.give_back(path)

    def open(self) -> set[str]:
        return {path.name for path in self.stores._opened}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.stores.close()
    made.main.close()


def test_one_directory_has_one_store(world: World) -> None:
    (world.directory / "link").symlink_to(world.directory / "a")
    first, parts, _ = world.stores.taken(world.directory / "a")
    second, _, _ = world.stores.taken(world.directory / "link")

    assert first is second
    assert parts == ()


def test_many_threads_open_one_store(world: World) -> None:
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: world.stores.taken(world.directory / "a")[0], range(32)))

    assert len({id(store) for store in found}) == 1


def test_what_lies_in_the_storage_directory_is_of_the_main_store(world: World) -> None:
    for path, parts in ((".", ()), ("ann/in", ("ann", "in"))):
        store, found, given_back = world.stores.taken(world.directory / "home" / "storage" / path)
        assert store is world.main
        assert (found, given_back) == (parts, None)


@pytest.mark.parametrize("name", ["home", "home/keys", "."])
def test_private_directories(world: World, name: str) -> None:
    with denied(ErrorCode.NOT_ALLOWED, "needs for itself"):
        world.stores.taken(world.directory / name)

    assert world.open() == set()


def test_what_nobody_uses_is_closed_after_a_while(world: World) -> None:
    _, _, path = world.stores.taken(world.directory / "a")
    world.use("b")
    world.clock.now += IDLE_SECONDS
    world.stores.maintain(world.clock.now)

    assert world.open() == {"a"}
    # It can be opened anew, by this or another process.
    LocalStore(world.directory / "b").close()
    assert path is not None
    world.stores.give_back(path)
    world.stores.maintain(world.clock.now)
    assert world.open() == {"a"}
    world.stores.maintain(world.clock.now + IDLE_SECONDS)
    assert world.open() == set()


def test_there_are_so_many_at_most(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sandboxstores, "MAX_STORES", 2)
    _, _, first = world.stores.taken(world.directory / "a")
    world.use("b")
    world.clock.now += 1
    world.use("c")
    assert world.open() == {"a", "c"}

    world.stores.taken(world.directory / "c")
    with denied(ErrorCode.BUSY):
        world.stores.taken(world.directory / "d")
    assert first is not None
    world.stores.give_back(first)
    world.stores.taken(world.directory / "d")
    assert world.open() == {"c", "d"}


def test_a_directory_in_use_by_another_process(world: World) -> None:
    with (
        LocalStore(world.directory / "a"),
        denied(ErrorCode.STORAGE_FAILED, "cannot be used"),
    ):
        world.stores.taken(world.directory / "a")

    world.stores.taken(world.directory / "a")


def test_after_the_end(world: World) -> None:
    world.stores.taken(world.directory / "a")
    world.stores.close()

    with denied(ErrorCode.CLOSING):
        world.stores.taken(world.directory / "a")
    LocalStore(world.directory / "a").close()
    world.stores.maintain(world.clock.now)


def test_who_comes_while_a_store_is_closed_waits(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.use("a")
    closing, go = threading.Event(), threading.Event()
    close = LocalStore.close

    def slow(store: LocalStore) -> None:
        closing.set()
        assert go.wait(30)
        close(store)

    monkeypatch.setattr(LocalStore, "close", slow)
    with ThreadPoolExecutor(2) as pool:
        ending = pool.submit(world.stores.maintain, world.clock.now + IDLE_SECONDS)
        assert closing.wait(30)
        coming = pool.submit(world.stores.taken, world.directory / "a")
        go.set()
        ending.result(30)
        store, _, _ = coming.result(30)
    monkeypatch.undo()

    assert store.limits.window > 0
    assert world.open() == {"a"}


def test_a_ground_gives_everything_back_once(world: World) -> None:
    places = {name: world.directory / name for name in ("a", "b")}
    ground = world.stores.ground(places, ())
    store, parts = ground.find(("a", "x"))
    assert ground.find(("a", "y"))[0] is store
    assert parts == ("x",)
    assert len(list(ground.stores())) == 2
    assert {each.users for each in world.stores._opened.values()} == {1}

    ground.close()
    ground.close()

    assert {each.users for each in world.stores._opened.values()} == {0}
    with denied(ErrorCode.UNKNOWN_SESSION):
        ground.find(("a", "x"))


def test_a_ground_with_a_root_and_names(world: World) -> None:
    places = {"": world.directory / "root", "a": world.directory / "a"}
    ground = world.stores.ground(places, ("a",))

    assert ground.find(("x",))[1] == ("x",)
    ground = world.stores.ground(places, ())
    assert ground.find(("b", "x"))[1] == ("b", "x")
    with denied(ErrorCode.NOT_ALLOWED, "none"):
        world.stores.ground({}, ()).find(("b", "x"))
