"""The jobs of one call are taken as there is room for them, and as there are any."""

from collections.abc import Iterator

from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.exchange.supply import Supply
from tests.unit.client.scriptedbus import Upload


def test_no_more_are_taken_than_there_is_room_for() -> None:
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        for number in range(5):
            taken.append(number)
            yield Upload()

    supply = Supply(jobs(), 3)
    assert len(list(supply.take(1))) == 2
    assert taken == [0, 1]
    assert list(supply.take(3)) == []
    assert len(list(supply.take(0))) == 3
    assert supply.more, "it is not known yet that there are no more"
    assert list(supply.take(0)) == []
    assert not supply.more


def test_finished_jobs_take_no_room() -> None:
    job = Upload()
    supply = Supply([Upload(0), Upload(0), job, Upload(0)], 1)
    assert list(supply.take(0)) == [job]
    assert list(supply.take(0)) == []
    assert not supply.more


def test_none_at_the_moment_is_not_the_end() -> None:
    first, second = Upload(), Upload()
    supply = Supply([None, first, None, None, second], 4)
    found = [list(supply.take(0)) for _ in range(4)]
    assert found == [[], [first], [], [second]]
    assert not supply.more
    assert list(supply.take(0)) == []
