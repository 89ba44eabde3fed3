"""Triggers: real scripts, started without a shell, bounded in time, killed at the end."""

import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.upkeep.backgroundqueue import BackgroundQueue
from dxlfiletransferservice.control.upkeep.events import Event, EventLog
from dxlfiletransferservice.control.upkeep.triggerarguments import (
    _FIELDS,
    _SPECIAL,
    Sender,
    argument,
    triggers_of,
)
from dxlfiletransferservice.control.upkeep.triggers import MAX_OUTPUT, Triggers
from tests.processes import ROOT
from tests.waiting import TIMEOUT, wait_until

SENDER = Sender("192.0.2.7", 8886)
SAY = 'printf "%s\\n" "$#" "$@" >> said\n'


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    directory = tmp_path / "triggers"
    directory.mkdir()
    return directory


def script(directory: Path, name: str, text: str) -> Path:
    path = directory / name
    path.write_text(f"#!/bin/sh\n{text}")
    path.chmod(0o700)
    return path


@pytest.fixture
def start(directory: Path) -> Iterator[Callable[..., Triggers]]:
    made: list[Triggers] = []

    def start(**options: Any) -> Triggers:
        triggers = Triggers(directory, SENDER, **options)
        triggers.start()
        made.append(triggers)
        return triggers

    yield start
    for each in made:
        each.close()


def said(directory: Path) -> list[str]:
    path = directory / "said"
    return path.read_text().splitlines() if path.exists() else []


def test_a_trigger_is_given_its_arguments_as_they_are(
    directory: Path, start: Callable[..., Triggers]
) -> None:
    script(directory, "recv.transferComplete", SAY)
    data = {
        "receptionId": "3",
        "transferId": "--help",
        "status": "complete",
        "totalSize": 10,
        "sourceIP": "{9}",
        "userName": None,
        "destinationPath": "a b/$(touch hacked);'\"\n*",
    }
    start().put(Event("receptionEnded", 0, data))
    wait_until(lambda: len(said(directory)) == 7)
    path = "/a b/$(touch hacked);'\"?*"
    assert said(directory) == ["6", "3", "complete", "10", "{9}", path, ""]
    assert not (directory / "hacked").exists()


def test_triggers_run_one_after_another_in_order(
    directory: Path, start: Callable[..., Triggers]
) -> None:
    script(directory, "send.transferDeleted", 'echo "begin $1" >> said; echo "end $1" >> said\n')
    triggers = start()
    for number in range(5):
        triggers.put(Event("transferDeleted", 0, {"transferId": str(number)}))
    wait_until(lambda: len(said(directory)) == 10)
    assert said(directory) == [f"{each} {n}" for n in range(5) for each in ("begin", "end")]


def test_it_inherits_no_secrets(directory: Path, start: Callable[..., Triggers]) -> None:
    script(directory, "launch", "env > said.new; cat >> said.new; mv said.new said\n")
    environment = {"PATH": os.environ["PATH"], "DXLFT_PASSWORD": "s3cret", "LANG": "C"}
    start(environment=environment).put(Event("serverStarted", 0, {}))
    wait_until(lambda: said(directory) != [])
    found = dict(line.split("=", 1) for line in said(directory))
    assert "s3cret" not in found.values()
    assert found["DXLFT_TRIGGER"] == "launch"
    assert found["LANG"] == "C"
    assert "HOME" not in found


def gone(path: Path) -> bool:
    """Whether the process that has written its number into a file has ended."""
    number = int(path.read_text())
    return not psutil.pid_exists(number) or psutil.Process(number).status() == "zombie"


def test_one_that_takes_too_long_is_killed_with_all_it_has_started(
    directory: Path, start: Callable[..., Triggers], caplog: pytest.LogCaptureFixture
) -> None:
    script(
        directory,
        "launch",
        "trap '' TERM\nsleep 600 & echo $! > child.new; mv child.new child\necho working\nwait\n",
    )
    script(directory, "send.manifestDeleted", SAY)
    triggers = start(time_limit=0.3)
    triggers.put(Event("serverStarted", 0, {}))
    triggers.put(Event("manifestDeleted", 0, {"manifestId": "2"}))
    wait_until(lambda: said(directory) == ["1", "2"])
    wait_until(lambda: gone(directory / "child"))
    assert "launch is killed: it takes more than 0.3 seconds" in caplog.text
    assert "launch ended with -9: working" in caplog.text


def test_what_it_leaves_running_ends_with_it(
    directory: Path, start: Callable[..., Triggers]
) -> None:
    script(directory, "launch", "sleep 600 & echo $! > child.new; mv child.new child\n")
    start().put(Event("serverStarted", 0, {}))
    wait_until((directory / "child").exists)
    wait_until(lambda: gone(directory / "child"))


def test_the_end_of_the_server_is_its_end(directory: Path, start: Callable[..., Triggers]) -> None:
    text = "exec >&- 2>&-; echo $$ > own.new; mv own.new own; exec sleep 600\n"
    script(directory, "launch", text)
    script(directory, "send.manifestDeleted", SAY)
    triggers = start()
    triggers.put(Event("serverStarted", 0, {}))
    triggers.put(Event("manifestDeleted", 0, {"manifestId": "2"}))
    wait_until((directory / "own").exists)
    triggers.close()
    assert gone(directory / "own")
    assert said(directory) == []


def test_output_goes_to_the_log_in_bounded_length(
    directory: Path, start: Callable[..., Triggers], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    script(
        directory,
        "launch",
        "printf 'one\\ntwo\\033[31m\\n'; head -c 3000000 /dev/zero | tr '\\0' x; exit 3\n",
    )
    start().put(Event("serverStarted", 0, {}))
    wait_until(lambda: "ended with" in caplog.text)
    line = next(each.getMessage() for each in caplog.records if "ended with" in each.getMessage())
    assert line.startswith("The trigger launch ended with 3: one | two?[31m | xxx")
    assert len(line) < MAX_OUTPUT + 100


def test_a_quiet_success_is_one_line(
    directory: Path, start: Callable[..., Triggers], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    script(directory, "launch", "exit 0\n")
    start().put(Event("serverStarted", 0, {}))
    wait_until(lambda: "The trigger launch ended with 0: no output" in caplog.text)


def test_without_a_file_or_the_right_to_start_it_nothing_happens(
    directory: Path, start: Callable[..., Triggers], mocker: Any
) -> None:
    script(directory, "launch", SAY).chmod(0o600)
    run = mocker.spy(Triggers, "_run")
    triggers = start()
    triggers.put(Event("serverStarted", 0, {}))
    triggers.put(Event("manifestDeleted", 0, {"manifestId": "2"}))
    triggers.close()
    assert run.call_count == 0


def test_a_directory_that_is_not_there_is_no_error(tmp_path: Path) -> None:
    triggers = Triggers(tmp_path / "none", SENDER)
    triggers.start()
    triggers.put(Event("serverStarted", 0, {}))
    triggers.close()


@pytest.mark.parametrize("fault", ["open", "directory", "vanished", "format"])
def test_a_file_that_must_not_or_cannot_be_started_is_named_in_the_log(
    directory: Path, start: Callable[..., Triggers], caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    path = directory / "launch"
    if fault == "directory":
        path.mkdir()
    else:
        script(directory, "launch", SAY)
    if fault == "open":
        path.chmod(0o777)
    if fault == "format":
        path.write_text("#!/nowhere/at/all\n")
    triggers = Triggers(directory, SENDER)
    triggers.put(Event("serverStarted", 0, {}))
    if fault == "vanished":
        path.unlink()
    triggers.start()
    wait_until(lambda: "The trigger launch" in caplog.text)
    triggers.close()
    assert said(directory) == []


def test_too_many_are_left_out(
    directory: Path, mocker: Any, caplog: pytest.LogCaptureFixture
) -> None:
    mocker.patch("dxlfiletransferservice.control.upkeep.triggers.MAX_WAITING", 2)
    script(directory, "send.manifestDeleted", SAY)
    triggers = Triggers(directory, SENDER)
    for number in range(5):
        triggers.put(Event("manifestDeleted", 0, {"manifestId": str(number)}))
    triggers.start()
    wait_until(lambda: len(said(directory)) == 4)
    triggers.close()
    assert said(directory) == ["1", "0", "1", "1"]
    assert "3 triggers were too many" in caplog.text


def test_the_event_log_sets_them_off(directory: Path, start: Callable[..., Triggers]) -> None:
    script(directory, "send.tokenCreated", SAY)
    log = EventLog(Database("sqlite://"), listeners=[start().put])
    log.record("tokenCreated", {"token": "id.s3cret", "password": "s3cret"})
    wait_until(lambda: said(directory) == ["1", "id"])


DESTINATION = {"destinationIP": "192.0.2.1", "destinationPort": 8886, "senderPort": -1}
RECEPTION = {"receptionId": "4", "status": "error", "totalSize": 3, "userName": "ann"}


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("serverStarted", {}, [("launch", ("8886",))]),
        ("serverStopped", {}, []),
        (
            "destinationCreated",
            DESTINATION,
            [("send.destinationCreated", ("192.0.2.1:8886", "192.0.2.7:8886"))],
        ),
        (
            "destinationDeleted",
            {**DESTINATION, "senderPort": 9000},
            [("send.destinationDeleted", ("192.0.2.1:8886", "192.0.2.7:9000"))],
        ),
        (
            "destinationCreated",
            {"destinationIP": None, "destinationAddress": "::1", "destinationPort": 1},
            [("send.destinationCreated", ("[::1]:1", "192.0.2.7:8886"))],
        ),
        (
            "transferUpdated",
            {"transferId": "1", "status": "error", "destinationId": "2", "manifestId": "3"},
            [("send.transferUpdated", ("1", "error", "2", "3"))],
        ),
        (
            "manifestUpdated",
            {"manifestId": "1", "status": "complete", "totalFiles": 2, "totalSize": None},
            [("send.manifestUpdated", ("1", "complete", "2", ""))],
        ),
        (
            "receptionEnded",
            RECEPTION,
            [("recv.receptionEnded", ("4", "error", "3", "", "/", "ann"))],
        ),
        (
            "receptionEnded",
            {**RECEPTION, "status": "complete", "destinationPath": "/in"},
            [
                ("recv.receptionEnded", ("4", "complete", "3", "", "/in", "ann")),
                ("recv.transferComplete", ("4", "complete", "3", "", "/in", "ann")),
            ],
        ),
        ("userAdded", {"userName": "ann"}, [("server.userAdded", ("ann",))]),
        ("somethingNew", {"a": "b"}, []),
    ],
)
def test_what_events_set_off(name: str, data: dict[str, Any], expected: list[Any]) -> None:
    assert triggers_of(Event(name, 0, data), SENDER) == expected


@pytest.mark.parametrize("event", [*_FIELDS, *_SPECIAL])
def test_the_documentation_names_every_trigger(event: str) -> None:
    page = (ROOT / "docs" / "events.md").read_text()
    data = {"status": "complete"}
    for trigger, _ in triggers_of(Event(event, 0, data), SENDER):
        assert f"`{trigger}`" in page
    assert f"`{event}`" in page


ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()))


@given(ANY_TEXT | st.none() | st.integers())
def test_any_value_makes_an_argument(value: Any) -> None:
    made = argument(value)
    assert b"\0" not in os.fsencode(made)
    assert not made.startswith("-")
    assert "\n" not in made


def test_a_failure_of_one_item_does_not_end_the_queue(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()
    queue: BackgroundQueue[int] = BackgroundQueue(
        lambda number: done.set() if number else fail(),
        name="things",
        most=5,
        logger=logging.getLogger("queue"),
    )

    def fail() -> None:
        raise RuntimeError("a bug")

    queue.put(0)
    queue.start()
    queue.put(1)
    assert done.wait(TIMEOUT)
    queue.close(TIMEOUT, drain=True)
    assert "One of the things failed unforeseen: a bug" in caplog.text


def test_a_trigger_that_ends_by_a_signal_of_its_own_is_told(
    directory: Path, start: Callable[..., Triggers], caplog: pytest.LogCaptureFixture
) -> None:
    script(directory, "launch", "kill -TERM $$\n")
    start().put(Event("serverStarted", 0, {}))
    wait_until(lambda: f"ended with {-signal.SIGTERM}" in caplog.text)
