"""Rates, lanes and priorities of whole transfers, in virtual time."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import Faults, MemoryBus
from dxlfiletransferservice.courier.seams import Status
from tests.unit.service.couriering import KIB, MIB, World

SECONDS = 5.0


class Figures:
    """Looks at how much each transfer has sent, at some times."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.delivery = world.delivery()
        self.at: dict[float, dict[int, int]] = {}

    def look(self, *times: float) -> None:
        for time in times:
            self.world.bus.at(time, lambda time=time: self._look(time))  # type: ignore[misc]

    def do(self, time: float, action: Callable[[], object]) -> None:
        """Change something, and say so."""

        def act() -> None:
            action()
            self.delivery.refresh()

        self.world.bus.at(time, act)

    def run(self, until: float) -> None:
        self.world.bus.at(until, self.delivery.close)
        self.delivery.run()

    def _look(self, time: float) -> None:
        found = self.delivery._hand.progress()
        self.at[time] = {number: each.bytes_sent for number, each in found.items()}

    def sent(self, begin: float, end: float) -> dict[int, int]:
        before, after = self.at[begin], self.at[end]
        return {number: count - before.get(number, 0) for number, count in after.items()}

    def shares(self, begin: float, end: float) -> dict[int, float]:
        sent = self.sent(begin, end)
        return {number: count / sum(sent.values()) for number, count in sent.items()}


@pytest.fixture
def world(tmp_path: Path) -> World:
    made = World(tmp_path)
    made.serve()
    made.manifest(1, {"large": 60 * MIB})
    return made


def busy(world: World, lanes: Mapping[str, int], **more: float) -> Figures:
    """Give each lane some large transfers."""
    number = 0
    for lane, count in lanes.items():
        for _ in range(count):
            number += 1
            world.work.add_transfer(number, 1, lane=lane, destination_path=str(number))
    return Figures(world)


def test_lanes_get_their_shares_of_the_rate(world: World) -> None:
    world.work.add_destination(rate=4 * MIB)
    figures = busy(world, {"High": 1, "Normal": 1, "Low": 1, "Idle": 1})
    times = [1.0, 1.0 + SECONDS, 4.3, 4.3 + SECONDS]
    figures.look(*times)
    figures.run(10.0)
    for begin in (1.0, 4.3):
        shares = figures.shares(begin, begin + SECONDS)
        assert shares[1] == pytest.approx(0.70, rel=0.05)
        assert shares[2] == pytest.approx(0.25, rel=0.05)
        assert shares[3] == pytest.approx(0.05, rel=0.05)
        assert sum(figures.sent(begin, begin + SECONDS).values()) == pytest.approx(
            4 * MIB * SECONDS, rel=0.03
        )
    assert 4 not in figures.at[times[-1]], "the idle lane is not even begun"


def test_lanes_get_their_shares_without_any_rate(tmp_path: Path) -> None:
    world = World(tmp_path, bus=MemoryBus(bandwidth=12 * MIB))
    world.serve()
    world.manifest(1, {"large": 60 * MIB})
    figures = busy(world, {"High": 1, "Normal": 1, "Low": 1})
    figures.look(0.5, 0.5 + SECONDS)
    figures.run(6.0)
    shares = figures.shares(0.5, 0.5 + SECONDS)
    # What travels are whole segments of a megabyte, of which the last lane has three.
    assert shares[1] == pytest.approx(0.70, abs=0.02)
    assert shares[2] == pytest.approx(0.25, abs=0.02)
    assert shares[3] == pytest.approx(0.05, abs=0.01)


def test_rates_and_lanes_can_be_changed_while_data_flows(world: World) -> None:
    world.work.add_destination(rate=4 * MIB)
    figures = busy(world, {"High": 1, "Normal": 1, "Low": 1})
    plan = world.work.plans[1]
    other = {"High": 0.2, "Normal": 0.2, "Low": 0.6, "Idle": 0.0}

    def change() -> None:
        world.work.plans[1] = replace(plan, rate=2 * MIB, lanes=other)

    figures.do(3.0, change)
    figures.look(1.0, 3.0, 4.0, 4.0 + SECONDS)
    figures.run(10.0)
    assert figures.shares(1.0, 3.0)[1] == pytest.approx(0.7, rel=0.08)
    assert sum(figures.sent(4.0, 4.0 + SECONDS).values()) == pytest.approx(
        2 * MIB * SECONDS, rel=0.03
    )
    for number, share in figures.shares(4.0, 4.0 + SECONDS).items():
        assert share == pytest.approx([0.2, 0.2, 0.6][number - 1], rel=0.05)


def test_a_lower_rate_shows_within_a_second(tmp_path: Path) -> None:
    world = World(tmp_path, bus=MemoryBus(bandwidth=20 * MIB))
    world.serve()
    world.manifest(1, {"large": 90 * MIB})
    figures = busy(world, {"Normal": 1})
    plan = world.work.plans[1]
    figures.do(3.0, lambda: world.work.plans.update({1: replace(plan, rate=MIB)}))
    figures.look(1.0, 2.0, 3.0, 4.0, 5.0, 6.0)
    figures.run(7.0)
    assert figures.sent(1.0, 2.0)[1] > 14 * MIB
    assert figures.sent(3.0, 4.0)[1] < 3 * MIB
    for begin in (4.0, 5.0):
        assert figures.sent(begin, begin + 1)[1] == pytest.approx(MIB, rel=0.1)


def test_a_transfer_has_a_rate_of_its_own(world: World) -> None:
    world.work.add_destination(rate=4 * MIB)
    figures = busy(world, {"Normal": 2})
    world.work.change(1, rate=MIB)
    figures.do(4.0, lambda: world.work.change(1, rate=None, priority=200))
    figures.look(1.0, 4.0, 5.0, 9.0)
    figures.run(9.5)
    assert figures.sent(1.0, 4.0)[1] == pytest.approx(3 * MIB, rel=0.03)
    assert figures.sent(1.0, 4.0)[2] == pytest.approx(9 * MIB, rel=0.03)
    # The one that has waited longest has a twentieth of the lane all the same.
    assert figures.shares(5.0, 9.0)[1] == pytest.approx(0.05, rel=0.25)


def test_destinations_share_the_rate_of_their_connection(world: World) -> None:
    world.work.add_destination(rate=4 * MIB, connection_rate=MIB)
    figures = busy(world, {"Normal": 1})
    figures.look(1.0, 5.0)
    figures.run(5.5)
    assert figures.sent(1.0, 5.0)[1] == pytest.approx(4 * MIB, rel=0.03)


def test_priorities_can_be_changed_while_data_flows(world: World) -> None:
    world.work.add_destination(rate=4 * MIB)
    figures = busy(world, {"Normal": 3})
    figures.do(3.0, lambda: world.work.change(3, priority=1))
    figures.do(6.0, lambda: world.work.change(2, lane="High"))
    figures.look(1.0, 3.0, 3.5, 6.0, 6.5, 9.0)
    figures.run(9.5)
    assert figures.shares(1.0, 3.0)[1] > 0.9
    assert figures.shares(3.5, 6.0)[3] > 0.9
    assert figures.shares(6.5, 9.0)[2] == pytest.approx(0.7 / 0.95, rel=0.05)


def test_the_idle_lane_sends_when_all_others_are_empty(world: World) -> None:
    world.manifest(2, {"small": 2 * MIB})
    world.work.add_destination(rate=4 * MIB)
    world.work.add_transfer(1, 1, lane="Idle")
    world.work.add_transfer(2, 2, lane="Low")
    figures = Figures(world)
    figures.do(5.0, lambda: world.work.add_transfer(3, 2, lane="High"))
    figures.look(0.4, 2.0, 4.0, 5.1, 5.4, 7.0)
    figures.run(8.0)
    assert world.work.begun == [2, 1, 3]
    assert figures.sent(2.0, 4.0)[1] > 7 * MIB
    assert figures.sent(5.1, 5.4)[1] == 0
    assert figures.sent(5.4, 7.0)[1] > MIB
    assert world.work.status(3) is Status.COMPLETE


def test_small_files_share_as_large_ones_do(world: World) -> None:
    world.manifest(2, {f"{number:04}": 8 * KIB for number in range(1500)})
    world.work.add_destination(rate=2 * MIB)
    world.work.add_transfer(1, 2, lane="High")
    world.work.add_transfer(2, 1, lane="Normal")
    figures = Figures(world)
    figures.look(1.0, 6.0)
    figures.run(6.5)
    assert figures.shares(1.0, 6.0)[1] == pytest.approx(0.7 / 0.95, rel=0.05)


def test_what_is_repeated_counts(tmp_path: Path) -> None:
    world = World(tmp_path, bus=MemoryBus(faults=Faults(lose=0.1)), rate=2 * MIB)
    service = world.serve()
    world.manifest(1, {"large": 30 * MIB})
    figures = busy(world, {"Normal": 1})
    service.refuse(Verb.SEGMENT, RefusedError(ErrorCode.BUSY, "later", 0.1), skip=20, count=3)
    figures.look(1.0, 9.0)
    figures.run(10.0)
    assert figures.sent(1.0, 9.0)[1] <= 2 * MIB * 8 + MIB
    assert figures.sent(1.0, 9.0)[1] > 4 * MIB
    assert world.work.progress(1).bytes_retransmitted > 100 * KIB
