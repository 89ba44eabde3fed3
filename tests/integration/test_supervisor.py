"""The processes that belong to a server, with a shell script in place of the interpreter."""

import logging
import sys
import threading
from pathlib import Path

import psutil
import pytest
from pytest_mock import MockerFixture

from dxlfiletransferservice import supervisor
from dxlfiletransferservice.supervisor import BrokerSupervisor, CommandProcess, ProcessFailedError
from tests.waiting import TIMEOUT

READY_THEN_WAIT = "echo 'ready: broker on 127.0.0.1 port 4711'; read line"


class Script:
    """A shell script that is run instead of Python; can be changed between two starts."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, text: str) -> None:
        new = self.path.with_suffix(".new")
        new.write_text(f"#!/bin/sh\n{text}\n")
        new.chmod(0o755)
        new.replace(self.path)


@pytest.fixture
def script(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "script"))
    return Script(tmp_path / "script")


def test_process_ends_with_its_lifeline(script: Script) -> None:
    script(READY_THEN_WAIT)
    with CommandProcess(["broker"]) as process:
        assert process.wait_until_ready(TIMEOUT).startswith("ready")
        assert psutil.pid_exists(process.pid)
    assert not psutil.pid_exists(process.pid)


def test_arguments(script: Script, tmp_path: Path) -> None:
    script(f'echo "$@" > "{tmp_path}/arguments"; {READY_THEN_WAIT}')
    with CommandProcess(["broker", "--port", "0"]) as process:
        process.wait_until_ready(TIMEOUT)
    words = (tmp_path / "arguments").read_text().split()
    assert words == [
        *("-P", "-m", "dxlfiletransferservice.command"),
        *("broker", "--port", "0", "--stop-with-stdin"),
    ]


def test_process_that_ends_at_once(script: Script) -> None:
    script("exit 5")
    with CommandProcess(["broker"]) as process, pytest.raises(ProcessFailedError) as caught:
        process.wait_until_ready(TIMEOUT)
    assert caught.value.exit_code == 5
    assert str(caught.value) == "broker ended with exit code 5"


def test_process_that_is_killed(script: Script) -> None:
    script("kill -9 $$")
    with CommandProcess(["broker"]) as process, pytest.raises(ProcessFailedError) as caught:
        process.wait_until_ready(TIMEOUT)
    assert caught.value.exit_code == -9
    assert str(caught.value) == "broker ended by signal 9"


def test_process_that_says_nothing(script: Script) -> None:
    script("read line")
    with (
        CommandProcess(["broker"]) as process,
        pytest.raises(ProcessFailedError, match=r"broker was not ready within 0\.1 seconds"),
    ):
        process.wait_until_ready(0.1)


def test_process_that_says_something_else(script: Script, mocker: MockerFixture) -> None:
    mocker.patch.object(supervisor, "STOP_TIMEOUT", 0.1)
    script("echo hello; read line")
    with (
        CommandProcess(["broker"]) as process,
        pytest.raises(ProcessFailedError, match="broker wrote 'hello'"),
    ):
        process.wait_until_ready(TIMEOUT)


def test_process_that_does_not_end_is_killed(script: Script, mocker: MockerFixture) -> None:
    mocker.patch.object(supervisor, "STOP_TIMEOUT", 0.1)
    script("trap '' TERM INT HUP PIPE; echo ready; while true; do read line; done")
    with CommandProcess(["broker"]) as process:
        process.wait_until_ready(TIMEOUT)
    assert not psutil.pid_exists(process.pid)


def test_process_that_nobody_waited_for(script: Script) -> None:
    script(READY_THEN_WAIT)
    with CommandProcess(["broker"]) as process:
        pass
    assert not psutil.pid_exists(process.pid)


def test_broker_that_cannot_start(script: Script, tmp_path: Path) -> None:
    script("exit 6")
    with (
        pytest.raises(ProcessFailedError) as caught,
        BrokerSupervisor(tmp_path, "127.0.0.1", 0),
    ):
        pass
    assert caught.value.exit_code == 6


def test_broker_that_does_not_say_its_port(script: Script, tmp_path: Path) -> None:
    script("echo ready; read line")
    with (
        pytest.raises(ProcessFailedError, match="does not say its port: 'ready'"),
        BrokerSupervisor(tmp_path, "127.0.0.1", 0),
    ):
        pass


class Messages(logging.Handler):
    """Collects log messages, and lets a test wait for one."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self._changed = threading.Condition()

    def emit(self, record: logging.LogRecord) -> None:
        with self._changed:
            self.texts.append(record.getMessage())
            self._changed.notify_all()

    def wait_for(self, text: str) -> None:
        with self._changed:
            assert self._changed.wait_for(lambda: any(text in each for each in self.texts), TIMEOUT)


@pytest.fixture
def messages(monkeypatch: pytest.MonkeyPatch) -> Messages:
    handler = Messages()
    monkeypatch.setattr(supervisor.logger, "handlers", [handler])
    monkeypatch.setattr(supervisor.logger, "level", logging.INFO)
    return handler


def test_broker_is_started_again_with_pauses(
    script: Script, tmp_path: Path, messages: Messages, mocker: MockerFixture
) -> None:
    mocker.patch.object(supervisor, "FIRST_PAUSE", 0.001)
    mocker.patch.object(supervisor, "LONGEST_PAUSE", 0.003)
    script("echo 'ready: port 4711'; kill -9 $$")
    with BrokerSupervisor(tmp_path, "127.0.0.1", 0) as broker:
        assert broker.port == 4711
        script(f'echo "$@" > "{tmp_path}/again"; exit 6')
        messages.wait_for("with exit code 6; starting it again in 0.003 s")
        script("echo 'ready: port 4711 again'; read line")
        messages.wait_for("is ready on port 4711")
    assert "--port 4711" in (tmp_path / "again").read_text()
    pauses = [text.rpartition(" in ")[2] for text in messages.texts if "again in" in text]
    assert pauses[:3] == ["0.001 s", "0.002 s", "0.003 s"]
    assert "broker ended by signal 9; starting it again in 0.001 s" in messages.texts


def test_no_new_broker_after_the_end(
    script: Script, tmp_path: Path, messages: Messages, mocker: MockerFixture
) -> None:
    mocker.patch.object(supervisor, "FIRST_PAUSE", 3600.0)
    script("echo 'ready: port 4711'; kill -9 $$")
    with BrokerSupervisor(tmp_path, "127.0.0.1", 0):
        messages.wait_for("starting it again")
    assert not [each for each in threading.enumerate() if each.name == "broker-supervisor"]
    assert sum("is ready" in text for text in messages.texts) == 1
