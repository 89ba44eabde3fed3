import io
import json
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture
from rich.console import Console

from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.columns import in_columns
from dxlfiletransferservice.command.watching import ONE_BY_ONE, Ending, WatchBars, ending_of
from tests.unit.service.controlledserver import ControlledServer, controlled_server, problem

GONE = CommandError("there is no transfer '9'", ErrorKind.NOT_FOUND)


def transfer(number: int | str, status: str = "sending", acked: int = 0, **more: Any) -> Any:
    """The structure of a transfer of a kilobyte; ``acked`` counts blocks of 256 bytes."""
    return {
        "transferId": str(number),
        "destinationId": "1",
        "destinationPath": "in/box",
        "status": status,
        "processing": status in ("pending", "sending", "resuming"),
        "errorMessage": "",
        "priority": 100,
        "priorityLane": "Normal",
        "totalFiles": 2,
        "totalBytes": 1024,
        "blocksAcked": acked,
        "blockSize": 256,
        "startTime": None,
        "endTime": None,
        **more,
    }


def listing(*transfers: Any) -> Any:
    """What lists transfers, two at a time."""

    def page(given: dict[str, Any]) -> list[Any]:
        after = int(given.get("after", 0))
        return [each for each in transfers if int(each["transferId"]) > after][:2]

    return page


def stages(**found: list[Any]) -> Any:
    """What returns one state of a transfer after the other; names are ``t`` and the id."""
    left = {name.removeprefix("t"): list(states) for name, states in found.items()}

    def get(given: dict[str, Any]) -> Any:
        states = left[given["transferId"]]
        return states.pop(0) if len(states) > 1 else states[0]

    return get


@pytest.fixture
def server(mocker: MockerFixture, tmp_path: Path) -> ControlledServer:
    made = controlled_server(mocker, tmp_path)
    made.answers["send.getDestinations"] = lambda given: (
        []
        if "after" in given
        else [
            {
                "destinationId": "1",
                "destinationAddress": "far",
                "destinationPort": 8886,
                "lastErrorMessage": "",
            }
        ]
    )
    return made


EVERY = [
    transfer(1, "complete", 4),
    transfer(2, "sending", 1),
    transfer(3, "error", errorMessage="disk full"),
    transfer(4, "suspended", 2),
    transfer(10, "pending", destinationId="77", destinationPath=""),
]


def test_list_of_what_has_not_ended(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    header, *lines = server.run("transfers", "list").stdout.splitlines()
    assert header.split()[:4] == ["ID", "STATUS", "DONE", "BYTES"]
    assert [line.split()[:4] for line in lines] == [
        ["2", "sending", "25", "%"],
        ["4", "suspended", "50", "%"],
        ["10", "pending", "0", "%"],
    ]
    assert lines[0].endswith("1,024      2  Normal       100  far:8886 in/box")
    assert lines[2].endswith("destination 77")


def test_list_tells_why_a_transfer_waits(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    destination = {"destinationId": "1", "destinationAddress": "far", "destinationPort": 8886}
    unreachable = {**destination, "lastErrorMessage": "nobody listens there"}
    server.answers["send.getDestinations"] = lambda given: [] if "after" in given else [unreachable]
    _, sending, suspended, _ = server.run("transfers", "list").stdout.splitlines()
    assert sending.endswith("nobody listens there")
    assert suspended.endswith("far:8886 in/box")


def test_list_of_all(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    _, *lines = server.run("transfers", "list", "--all").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "10"]
    assert lines[2].endswith("disk full")


def test_list_of_the_newest(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    _, *lines = server.run("transfers", "list", "--all", "--limit", "2").stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["4", "10"]


def test_list_as_json(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    found = json.loads(server.run("transfers", "list", "--json", "--all").stdout)
    assert found == EVERY
    assert server.named("send.getDestinations") == []


def test_empty_list(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = []
    assert server.run("transfers", "list").stdout == ""
    assert server.run("transfers", "list", "--json").stdout == "[]\n"


def test_watch_until_the_end(server: ControlledServer) -> None:
    done = transfer(2, "complete", 4, startTime=1_000_000, endTime=3_000_000)
    server.answers["send.getTransfer"] = stages(
        t2=[transfer(2, "pending"), transfer(2, acked=1), transfer(2, acked=1), done],
        t4=[transfer(4), transfer(4, "suspended", 2)],
    )
    result = server.run("transfers", "watch", "2", "4")
    assert result.exit_code == ExitCode.FAILURE  # one of them is not complete
    assert result.stdout.splitlines() == [
        "transfer 4: suspended at 50 %",
        "transfer 2: 2 files, 1,024 bytes, 0.0 MB/s",
    ]
    assert result.stderr.splitlines() == [
        "transfer 2: pending, 0 % of 1,024 bytes",
        "transfer 4: sending, 0 % of 1,024 bytes",
        "transfer 2: sending, 25 % of 1,024 bytes",
    ]


def test_watch_of_what_is_complete(server: ControlledServer) -> None:
    server.answers["send.getTransfer"] = transfer(2, "complete")
    result = server.run("transfers", "watch", "2", "2")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "transfer 2: 2 files, 1,024 bytes\n"


def test_watch_of_what_fails_or_is_gone(server: ControlledServer) -> None:
    server.answers["send.getTransfer"] = stages(
        t3=[transfer(3), transfer(3, "error", errorMessage="disk\nfull")], t9=[GONE]
    )
    result = server.run("transfers", "watch", "3", "9")
    assert (result.exit_code, result.stdout) == (ExitCode.FAILURE, "")
    lines = [line for line in result.stderr.splitlines() if line.startswith("dxlft: ")]
    assert lines == [
        "dxlft: transfer 9: there is no transfer '9'",
        "dxlft: transfer 3: disk full",
    ]


def test_watch_of_all_under_way(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(*EVERY)
    server.answers["send.getTransfer"] = stages(
        t2=[transfer(2, "complete")], t10=[transfer(10, "complete")]
    )
    result = server.run("transfers", "watch")
    assert result.exit_code == 0
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "transfer 2",
        "transfer 10",
    ]


def test_watch_of_nothing(server: ControlledServer) -> None:
    server.answers["send.getTransfers"] = listing(EVERY[0])
    result = server.run("transfers", "watch")
    assert (result.exit_code, result.stderr) == (0, "no transfer is under way\n")


def test_watch_of_many_fetches_the_list(server: ControlledServer) -> None:
    count = ONE_BY_ONE + 5
    ids = [str(number) for number in range(11, 11 + count)]
    others = [transfer(number, "complete") for number in (1, 2, 900)]
    every = [*others[:2], *(transfer(number, "complete") for number in ids[:-1]), others[2]]
    server.answers["send.getTransfers"] = listing(*every)
    server.answers["send.getTransfer"] = GONE
    result = server.run("transfers", "watch", *ids)
    assert len(result.stdout.splitlines()) == count - 1
    assert server.named("send.getTransfers")[0]["after"] == "10"
    assert server.named("send.getTransfer") == [{"transferId": ids[-1]}]
    assert result.exit_code == ExitCode.FAILURE


def test_errors_that_end_the_watch(server: ControlledServer) -> None:
    server.answers["send.getTransfer"] = CommandError("not now", ErrorKind.INTERNAL)
    assert problem(server.run("transfers", "watch", "2")) == "dxlft: not now"


def test_bars(capsys: pytest.CaptureFixture[str]) -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=100)
    with WatchBars(console) as bars:
        bars.update(transfer(2, acked=1))
        bars.update(transfer(3))
        bars.end("3", ending_of("3", transfer(3, "error", errorMessage="disk full")))
        bars.end("2", ending_of("2", transfer(2, "complete")))
        bars.end("9", Ending("never seen before"))
        assert capsys.readouterr().out == ""
    shown = screen.getvalue()
    assert "2 sending" in shown
    assert "25%" in shown
    assert "dxlft: transfer 3: disk full" in shown
    assert capsys.readouterr().out.splitlines() == [
        "transfer 2: 2 files, 1,024 bytes",
        "never seen before",
    ]


@pytest.mark.parametrize(
    ("command", "called", "done"),
    [
        ("suspend", "send.suspendTransferAsync", "suspended"),
        ("resume", "send.resumeTransferAsync", "resumed"),
        ("delete", "send.deleteTransfer", "deleted"),
    ],
)
def test_changes_of_several(server: ControlledServer, command: str, called: str, done: str) -> None:
    def answer(given: dict[str, Any]) -> Any:
        if given["transferId"] == "9":
            return GONE
        return server.request(None) if called.endswith("Async") else None

    server.answers[called] = answer
    result = server.run("transfers", command, "9", "2", "4", "2")
    assert result.exit_code == ExitCode.FAILURE
    assert result.stdout.splitlines() == [f"transfer 2: {done}", f"transfer 4: {done}"]
    assert problem(result) == "dxlft: transfer 9: there is no transfer '9'"
    assert server.run("transfers", command, "2").exit_code == 0


def test_request_that_fails(server: ControlledServer) -> None:
    error = CommandError("the transfer '2' has ended", ErrorKind.STATE)
    server.answers["send.suspendTransferAsync"] = lambda _: server.request(error)
    result = server.run("transfers", "suspend", "2")
    assert (result.exit_code, result.stdout) == (ExitCode.FAILURE, "")
    assert problem(result) == "dxlft: transfer 2: the transfer '2' has ended"


def test_what_fails_for_all_ends_it(server: ControlledServer) -> None:
    server.answers["send.deleteTransfer"] = AuthenticationError("log on first")
    assert problem(server.run("transfers", "delete", "2", "4")) == "dxlft: log on first"
    assert len(server.calls) == 1


def test_priority(server: ControlledServer) -> None:
    server.answers["send.setTransferPriorityAsync"] = lambda _: server.request({"transferId": "2"})
    result = server.run("transfers", "priority", "2", "5", "--lane", "High")
    assert result.stdout == "transfer 2: priority 5 in the lane High\n"
    server.run("transfers", "priority", "2", "0")
    assert server.named("send.setTransferPriorityAsync") == [
        {"transferId": "2", "priority": 5, "priorityLane": "High"},
        {"transferId": "2", "priority": 0},
    ]


@pytest.mark.parametrize("number", ["4294967296", "x", "1.5"])
def test_priority_that_is_none(server: ControlledServer, number: str) -> None:
    assert server.run("transfers", "priority", "2", number).exit_code == ExitCode.USAGE
    assert server.clients == []


@pytest.mark.parametrize(
    ("given", "committed", "line"),
    [
        ("8000", 8000.0, "8,000 kbit/s at most"),
        ("-1", -1.0, "no limit"),
        ("1.5", 1.5, "1.5 kbit/s"),
    ],
)
def test_rate(server: ControlledServer, given: str, committed: float, line: str) -> None:
    server.answers["send.setTransferSendRateMaxAsync"] = lambda _: server.request(
        {"sendRateMax": committed}
    )
    result = server.run("transfers", "rate", "2", given)
    assert result.stdout.startswith(f"transfer 2: {line}")
    assert server.named("send.setTransferSendRateMaxAsync") == [
        {"transferId": "2", "sendRateMax": committed}
    ]


def test_fail(server: ControlledServer) -> None:
    server.answers["send.failTransfer"] = None
    assert server.run("transfers", "fail", "2").stdout == "transfer 2: failed\n"
    server.run("transfers", "fail", "2", "not needed")
    assert server.named("send.failTransfer") == [
        {"transferId": "2"},
        {"transferId": "2", "errorMessage": "not needed"},
    ]


@pytest.mark.parametrize(
    "command",
    ["list", "watch", "suspend", "resume", "priority", "rate", "fail", "delete"],
)
def test_help(server: ControlledServer, command: str) -> None:
    result = server.run("transfers", command, "--help")
    assert result.exit_code == 0
    assert f"\n  Examples:\n    dxlft transfers {command}" in result.stdout
    for option in ("--config", "--home DIR", "--server", "--user", "--verbose"):
        assert option in result.stdout
    assert "\\b" not in result.stdout


def test_columns() -> None:
    assert in_columns([["a", "1"], ["bb", "22"]], right=[1]) == ["a    1", "bb  22"]
    assert in_columns([["日本", "x"], ["a", "y"]]) == ["日本  x", "a     y"]
