"""The benchmark's harness with real processes, and sizes that say nothing about speed."""

import contextlib
import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.commands import run_commands
from benchmarks.links import PLAIN
from benchmarks.peers import copies
from benchmarks.peers.relay import relay_limit
from benchmarks.peers.ssh import ssh_server
from benchmarks.peers.tools import SCP, PeerError
from benchmarks.processes import ProgramError
from dxlfabric.certificates import provision
from tests.processes import ROOT, Processes


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.write_bytes(os.urandom(3_000_000))
    return path


@pytest.mark.slow
def test_a_small_run_without_peers_writes_results_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    home, results = tmp_path / "home", tmp_path / "results.json"
    home.mkdir()
    processes = Processes(ROOT)
    try:
        benchmark = processes.start_python(
            *("-m", "benchmarks", "--only", "tree", "--rounds", "1", "--files", "20"),
            *("--size", "1", "--large", "1", "--home", home, "--json", results),
            environment={"PATH": str(home)},
        )
        assert benchmark.wait(100) == 0, benchmark.output + benchmark.errors
    finally:
        processes.close()
    read = json.loads(results.read_text())
    (row,) = read["rows"]
    assert (row["who"], row["what"], row["ratio"]) == ("version 2", "20 files of 4096 bytes", 1)
    assert row["median"]["service_peak"] > 0
    assert any(note.startswith("left out: scp: ") for note in read["notes"])
    assert "apt install openssh-server" in benchmark.output
    assert list(home.iterdir()) == []


def test_the_relay_passes_a_file_on(tmp_path: Path, source: Path) -> None:
    home = tmp_path / "relay"
    sample = relay_limit(provision(home), PLAIN, source, home)
    assert sample.rate > 0
    assert min(sample.sender_peak, sample.broker_peak, sample.service_peak) > 0


@pytest.mark.skipif(bool(SCP.missing), reason=SCP.missing)
def test_scp_goes_to_a_server_of_the_run(tmp_path: Path, source: Path) -> None:
    with contextlib.ExitStack() as stack:
        try:
            server = stack.enter_context(ssh_server(tmp_path / "ssh"))
        except PeerError as error:
            pytest.skip(str(error))
        sent = copies.sent(server, server.scp(), source, at_once=2)
        fetched = copies.fetched(server, server.scp(), source)
        with pytest.raises(PeerError, match="scp"):
            copies.copied(server, [server.scp()("/no/such/file", tmp_path)], 1, 1)
    assert min(sent.service_cpu, fetched.service_cpu, sent.service_peak, sent.sender_peak) > 0


def test_what_a_command_starts_counts_for_it() -> None:
    work = "sum(range(10**7))"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {work!r}])"
    alone = run_commands([[sys.executable, "-c", "pass"]], PLAIN)
    done = run_commands([[sys.executable, "-c", child]], PLAIN)
    assert done.cpu > alone.cpu
    assert done.peak > 0


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(ProgramError, match="ended with 3:\nsorry"):
        run_commands([[sys.executable, "-c", "print('sorry'); raise SystemExit(3)"]], PLAIN)
