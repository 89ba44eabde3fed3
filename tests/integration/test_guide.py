"""The examples of docs/transfers.md run as they are printed, and its tables are true."""

import hashlib
import os
import random
import re
import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from dxlclient.client import DxlClient
from dxlclient.client_config import DxlClientConfig

from dxlfiletransferclient import FileTransferClient, Links, Result, SendOptions
from dxlfiletransferservice.settings import read_settings
from tests.commandline import CommandLine
from tests.fabric import connected
from tests.processes import ROOT, Processes, RunningProcess
from tests.waiting import TIMEOUT

GUIDE = (ROOT / "docs" / "transfers.md").read_text()
SENDING, PROGRESS, KIT, CONFORMANCE = re.findall(
    r"^```python\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE
)
LARGE = 3_000_000


def write(path: Path, size: int) -> bytes:
    content = random.Random(path.name).randbytes(size)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return content


def run(processes: Processes, directory: Path, text: str) -> RunningProcess:
    (directory / "example.py").write_text(text)
    program = processes.start_python("example.py")
    assert program.wait() == 0, program.errors
    return program


class TestExamples:
    @pytest.fixture(autouse=True)
    def home(self, dxlft: CommandLine, tmp_path: Path) -> None:
        # A server of their own: what others have stored would show in the lists.
        dxlft.server()
        (tmp_path / "my-home").symlink_to(dxlft.home)

    def test_sending_and_receiving(self, processes: Processes, tmp_path: Path) -> None:
        content = write(tmp_path / "my.pcap", LARGE)
        report = write(tmp_path / "reports" / "may" / "one.csv", 100)
        program = run(processes, tmp_path, SENDING)
        assert program.output.splitlines() == [
            f"2026/my.pcap file {LARGE}",
            "2026/reports directory 0",
            "2026/reports/may directory 0",
            "2026/reports/may/one.csv file 100",
            hashlib.sha256(content).hexdigest(),
        ]
        assert (tmp_path / "copy" / "reports" / "may" / "one.csv").read_bytes() == report
        assert not (tmp_path / "my-home" / "storage" / "2026").exists()

    def test_progress(self, processes: Processes, tmp_path: Path) -> None:
        content = write(tmp_path / "large.img", LARGE)
        program = run(processes, tmp_path, PROGRESS)
        lines = [line.split() for line in program.output.splitlines()]
        assert lines[-1][:4] == ["stored", "large.img", str(LARGE), str(LARGE)]
        done = [int(line[2]) for line in lines if len(line) == 5]
        assert done == sorted(done)
        stored = tmp_path / "my-home" / "storage" / "large.img"
        assert stored.read_bytes() == content
        stored.unlink()


@pytest.mark.parametrize("text", [KIT, CONFORMANCE], ids=["bus", "conformance"])
def test_the_test_kit(processes: Processes, tmp_path: Path, text: str) -> None:
    (tmp_path / "test_example.py").write_text(text)
    options = ("-q", "-p", "no:cacheprovider", "--rootdir", tmp_path)
    done = processes.start_python("-m", "pytest", *options, "test_example.py")
    assert done.wait(TIMEOUT) == 0, done.output
    assert re.search(r"^\d+ passed", done.output, re.MULTILINE), done.output


@pytest.fixture(scope="module")
def dxl_client(request: pytest.FixtureRequest, shared: CommandLine) -> Iterator[DxlClient]:
    config = DxlClientConfig.create_dxl_config_from_file(str(shared.configuration))
    with connected(config, request.param) as dxl_client:
        yield dxl_client


@pytest.fixture
def client(dxl_client: DxlClient) -> FileTransferClient:
    return FileTransferClient(dxl_client)


class TestWhatIsSent:
    @pytest.fixture
    def place(self, request: pytest.FixtureRequest, shared: CommandLine) -> Path:
        """Where the files of a test lie on the service."""
        return shared.home / "storage" / str(request.node.name)

    @pytest.fixture
    def tree(self, tmp_path: Path, place: Path) -> Path:
        tree = tmp_path / place.name
        write(tree / "plain", 10)
        return tree

    def outcomes(
        self, client: FileTransferClient, source: Path, links: Links = Links.FOLLOW
    ) -> dict[str, Result]:
        report = client.send(source, options=SendOptions(links=links))
        return {each.name.partition("/")[2]: each.result for each in report.outcomes}

    @pytest.mark.parametrize("size", [100, LARGE])
    def test_file(self, client: FileTransferClient, tree: Path, place: Path, size: int) -> None:
        content = write(tree / "program", size)
        (tree / "program").chmod(0o755)
        os.utime(tree / "program", ns=(0, 1_234_567_890_123_456_789))
        assert self.outcomes(client, tree) == {"plain": "stored", "program": "stored"}
        status = (place / "program").stat()
        assert (place / "program").read_bytes() == content
        assert status.st_mtime_ns == 1_234_567_890_123_456_789
        assert status.st_mode & stat.S_IXUSR
        assert not (place / "plain").stat().st_mode & stat.S_IXUSR

    def test_empty_directory(self, client: FileTransferClient, tree: Path, place: Path) -> None:
        (tree / "empty").mkdir()
        (tree / "with pipe").mkdir()
        os.mkfifo(tree / "with pipe" / "pipe")
        assert self.outcomes(client, tree) == {
            "empty": "stored",
            "plain": "stored",
            "with pipe": "stored",
            "with pipe/pipe": "skipped",
        }
        assert list((place / "empty").iterdir()) == []
        assert list((place / "with pipe").iterdir()) == []

    @pytest.mark.parametrize(
        ("links", "result"),
        [(Links.FOLLOW, "stored"), (Links.KEEP, "failed"), (Links.SKIP, "skipped")],
    )
    def test_link(
        self, client: FileTransferClient, tree: Path, place: Path, links: Links, result: str
    ) -> None:
        (tree / "link").symlink_to("plain")
        assert self.outcomes(client, tree, links) == {"link": result, "plain": "stored"}
        assert (place / "link").exists() == (links is Links.FOLLOW)
        assert not (place / "link").is_symlink()

    def test_sparse_file(self, client: FileTransferClient, tree: Path, place: Path) -> None:
        with (tree / "sparse").open("wb") as file:
            file.truncate(LARGE)
        assert self.outcomes(client, tree)["sparse"] == "stored"
        assert (place / "sparse").read_bytes() == bytes(LARGE)

    def test_named_pipe(self, client: FileTransferClient, tree: Path, place: Path) -> None:
        os.mkfifo(tree / "pipe")
        assert self.outcomes(client, tree) == {"pipe": "skipped", "plain": "stored"}
        writer = threading.Thread(target=(tree / "pipe").write_bytes, args=(b"piped",))
        writer.start()
        client.send(tree / "pipe", f"{place.name}/").raise_for_failure()
        writer.join(TIMEOUT)
        assert (place / "pipe").read_bytes() == b"piped"

    def test_socket(
        self, client: FileTransferClient, tree: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tree)
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind("socket")
            assert self.outcomes(client, tree) == {"plain": "stored", "socket": "skipped"}
            assert client.send("socket").failed == 1

    def test_failures_of_single_files(self, client: FileTransferClient, tree: Path) -> None:
        (tree / "loop").symlink_to("loop")
        (tree / "up").symlink_to("../" + tree.name)
        Path(os.fsdecode(os.fsencode(tree) + b"/\xff")).write_bytes(b"")
        assert self.outcomes(client, tree) == {
            "plain": "stored",
            "loop": "failed",
            "up": "failed",
            "\udcff": "failed",
        }

    def test_unchanged_if_it_is_large(self, client: FileTransferClient, tree: Path) -> None:
        write(tree / "large", LARGE)
        assert self.outcomes(client, tree) == {"large": "stored", "plain": "stored"}
        assert self.outcomes(client, tree) == {"large": "unchanged", "plain": "stored"}


def test_settings_of_the_table_are_the_defaults(tmp_path: Path) -> None:
    table = GUIDE[GUIDE.index("## Settings of the service") :]
    rows = re.findall(r"^\| (?:`\[(\w+)\]`)? *\| (`.+?`) \| ([\w ]+)", table, re.MULTILINE)
    text, names = [f"[General]\nstorageDir={tmp_path}"], []
    for section, settings, default in rows:
        if section:
            text.append(f"[{section}]")
        for name in re.findall(r"`(\w+)`", settings):
            names.append(name)
            if default != "no limit":
                text.append(f"{name}={default}")
    (tmp_path / "said").write_text("\n".join(text))
    (tmp_path / "default").write_text(text[0])
    assert len(names) == 11
    assert read_settings(tmp_path / "said") == read_settings(tmp_path / "default")
    template = (ROOT / "config" / "dxlfiletransferservice.config").read_text()
    assert all(f"\n;{name}=" in template for name in names)
