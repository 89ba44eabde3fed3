"""Who works together on a file under way, and who alone."""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NoReturn, cast

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.errors import StoreClosedError, UnknownFileError
from dxlfiletransferclient.storage.places import Place, Places

if TYPE_CHECKING:
    from dxlfiletransferclient.storage.partial import Partial

FILE = cast("Partial", object())


@pytest.fixture
def places() -> Places:
    return Places(["one"], [])


@pytest.fixture
def place(places: Places) -> Place:
    place = places.known("one")
    place.partial = FILE
    return place


def test_several_work_together(places: Places, place: Place) -> None:
    assert places.join("one") == places.join("one") == (place, FILE)
    assert place.users == 2
    for left in (1, 0):
        places.leave(place, ended=False)
        assert place.users == left
    assert not place.lock.locked()


def test_a_file_that_is_not_in_memory_has_to_be_read_first(places: Places) -> None:
    assert places.join("one") is None
    place = places.known("one")
    assert (place.users, place.lock.locked()) == (0, False)
    with places.turn(place):
        place.partial = FILE
        places.enter(place)
    assert place.users == 1
    places.leave(place, ended=False)
    places.close()


def test_whoever_works_alone_is_waited_for(places: Places, place: Place) -> None:
    with places.alone(place):
        assert places.join("one") is None
        assert place.users == 0
    assert places.join("one") == (place, FILE)


def test_whoever_wants_to_work_alone_waits(places: Places, place: Place) -> None:
    def work() -> int:
        with places.alone(place):
            return place.users

    places.join("one")
    places.join("one")
    with ThreadPoolExecutor(1) as pool:
        alone = pool.submit(work)
        while not place.lock.locked():
            assert not alone.done()
        for _ in range(2):
            assert not alone.done()
            places.leave(place, ended=False)
        assert alone.result(30) == 0


def come_and_go(places: Places) -> NoReturn:
    while True:
        places.join("one")
        places.leave(places.known("one"), ended=False)


def test_closing_waits_for_those_who_are_inside(places: Places, place: Place) -> None:
    places.join("one")
    with ThreadPoolExecutor(1) as pool:
        closed = pool.submit(places.close)
        with pytest.raises(StoreClosedError):
            come_and_go(places)
        assert not closed.done()
        places.leave(place, ended=False)
        closed.result(30)


def test_a_file_that_is_not_known(places: Places) -> None:
    with pytest.raises(UnknownFileError):
        places.join("two")


@pytest.mark.parametrize("others", [0, 1])
def test_a_file_that_has_ended_is_let_go_of_by_the_last(
    places: Places, place: Place, others: int
) -> None:
    for _ in range(1 + others):
        places.join("one")
    for left in range(others, -1, -1):
        places.leave(place, ended=True)
        assert (place.partial is None) == (left == 0)
    assert places.has_ended("one")
    places.close()


def test_nobody_is_woken_where_nobody_waits(
    places: Places, place: Place, mocker: MockerFixture
) -> None:
    woken = mocker.spy(threading.Condition, "notify_all")
    places.join("one")
    places.leave(place, ended=False)
    assert woken.call_count == 0
