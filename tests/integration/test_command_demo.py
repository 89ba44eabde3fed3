"""``dxlft demo`` as a real process."""

import shlex
import signal
from pathlib import Path

import psutil

from tests.commandline import BROKER_READY, CommandLine, code_of, problem, sha256, wait_until_gone
from tests.waiting import TIMEOUT, wait_until


def test_demo_of_a_file(dxlft: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "é ü two words.bin"
    file.write_bytes(b"\0\xff" * 1_000_000)

    demo = dxlft.run("demo", file, "--home", dxlft.home)

    assert code_of(demo) == 0
    stored = dxlft.home / "storage" / file.name
    assert stored.read_bytes() == file.read_bytes()
    assert (dxlft.home / "received" / file.name).read_bytes() == file.read_bytes()
    assert demo.output.count(sha256(file)) == 3
    assert "(stored, the same)" in demo.output
    assert "(received, the same)" in demo.output
    assert "2,000,000 bytes" in demo.output
    assert "MB/s" in demo.output
    assert str(stored) in demo.output
    again = f"python -m dxlfiletransferservice.command server --home {shlex.quote(str(dxlft.home))}"
    assert demo.output.splitlines()[-1] == f"go on with: {again}"
    log = (dxlft.home / "server.log").read_text()
    assert "the server has ended" in log
    ((broker, _),) = BROKER_READY.findall(log)
    assert not psutil.pid_exists(int(broker))


def test_demo_without_a_file(dxlft: CommandLine) -> None:
    demo = dxlft.run("demo", "--home", dxlft.home)
    assert code_of(demo) == 0
    sample = dxlft.home / "sample.bin"
    assert demo.output.count(sha256(sample)) == 3
    assert (dxlft.home / "storage" / "sample.bin").stat().st_size == sample.stat().st_size


def test_demo_of_a_directory_that_was_used_before(dxlft: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "a"
    for content in (b"first", b"first", b"second"):
        file.write_bytes(content)
        demo = dxlft.run("demo", file, "--home", dxlft.home)
        assert code_of(demo) == 0
        assert demo.output.count(sha256(file)) == 3
    assert (dxlft.home / "received" / "a").read_bytes() == b"second"


def test_demo_that_is_interrupted_leaves_no_process(dxlft: CommandLine) -> None:
    demo = dxlft.start("demo", "--home", dxlft.home)
    demo.wait_for_line("starting")
    wait_until(lambda: bool(psutil.Process(demo.process.pid).children(recursive=True)))
    children = psutil.Process(demo.process.pid).children(recursive=True)
    demo.process.send_signal(signal.SIGINT)
    assert demo.wait(TIMEOUT) == 130
    for child in children:
        wait_until_gone(child.pid)


def test_demo_that_is_killed_leaves_no_process(dxlft: CommandLine) -> None:
    demo = dxlft.start("demo", "--home", dxlft.home)
    demo.wait_for_line("sending")
    children = psutil.Process(demo.process.pid).children(recursive=True)
    assert len(children) == 2
    demo.kill()
    for child in children:
        wait_until_gone(child.pid)


def test_demo_says_why_its_server_does_not_start(shared: CommandLine) -> None:
    demo = shared.run("demo", "--home", shared.home)
    assert code_of(demo) == 4
    assert "is in use: process" in problem(demo)
