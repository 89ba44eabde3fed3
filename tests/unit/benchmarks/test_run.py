"""What a run leaves out, in which order it measures, and how much room it asks for."""

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.groups import GROUPS, needed_space
from benchmarks.groups.peers import ssh_or_none
from benchmarks.groups.run import MEBIBYTE, Run
from benchmarks.links import PLAIN
from benchmarks.peers import tools
from benchmarks.peers.tools import NATS, RSYNC, SCP, PeerError
from benchmarks.processes import ProgramError
from benchmarks.samples import Sample
from tests.unit.benchmarks.samples import sample


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run(
        home=tmp_path,
        links=[PLAIN],
        rounds=2,
        size=MEBIBYTE,
        large=MEBIBYTE,
        files=3,
        published=None,
        tell=lambda _: None,
    )


@pytest.fixture
def _bare_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "find_program", lambda _: None)
    monkeypatch.setattr(tools, "find_spec", lambda _: None)


@pytest.mark.usefixtures("_bare_machine")
def test_missing_peers_are_named_with_what_installs_them(run: Run) -> None:
    assert not any([run.has(RSYNC), run.has(NATS), run.has(NATS)])
    rsync, nats = run.notes
    assert rsync.startswith("left out: rsync: ")
    assert "apt install rsync" in rsync
    assert "nats-server and the module nats not installed" in nats


@pytest.mark.usefixtures("_bare_machine")
def test_without_its_programs_there_is_no_server_for_ssh(run: Run) -> None:
    with ssh_or_none(run, "group") as server:
        assert server is None
    assert run.notes == [f"left out: scp: {SCP.missing}"]
    assert "apt install openssh-server" in SCP.missing


def test_senders_take_turns_and_each_gets_a_row(run: Run) -> None:
    order: list[str] = []

    def sender(who: str, rates: list[float]) -> Callable[[], Sample]:
        def measure() -> Sample:
            order.append(who)
            return sample(rates.pop())

        return measure

    run.turns("what", PLAIN, {"a": sender("a", [1, 3]), "b": sender("b", [10, 20])})
    assert order == ["a", "b", "a", "b"]
    assert [(row.who, row.median.rate) for row in run.rows] == [("a", 2), ("b", 15)]


def test_a_peer_that_fails_is_left_out_and_the_others_go_on(run: Run) -> None:
    def failing() -> Sample:
        raise PeerError("it said no")

    samples = run.turns("what", PLAIN, {"bad": failing, "good": lambda: sample(1)})
    assert list(samples) == ["good"]
    assert [row.who for row in run.rows] == ["good"]
    assert run.notes == ["left out: bad: it said no"]


def test_a_failure_of_the_project_itself_is_no_reason_to_leave_it_out(run: Run) -> None:
    def failing() -> Sample:
        raise ProgramError("broken")

    with pytest.raises(ProgramError, match="broken"):
        run.turns("what", PLAIN, {"version 2": failing})


def test_only_rows_that_were_measured_are_compared(run: Run) -> None:
    run.turns("what", PLAIN, {"a": lambda: sample(6), "b": lambda: sample(3)})
    run.compare("what", "a", "b", PLAIN, 1.5)
    run.compare("what", "a", "missing", PLAIN, 1.5)
    (figure,) = run.figures
    assert (figure.value, figure.bound, figure.holds) == (2, 1.5, True)


def test_more_groups_take_more_room(run: Run) -> None:
    assert needed_space(run, ["tree", "memory"]) > needed_space(run, ["memory"])
    assert needed_space(run, GROUPS) >= max(needed_space(run, [name]) for name in GROUPS)


def test_a_tree_has_the_files_that_it_should(run: Run) -> None:
    assert [path.stat().st_size for path in sorted(run.tree().rglob("0*/*"))] == [4096] * 3
