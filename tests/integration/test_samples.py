"""The samples run as they are, against a running service."""

import json
import re
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from tests.fabric import Fabric
from tests.processes import ROOT, Processes, RunningProcess

SAMPLES = ROOT / "sample" / "basic"
SEND, SERVICE, STORE = (
    SAMPLES / f"basic_{name}_example.py" for name in ("send_file_request", "service", "store")
)
SEND_2, GET, LIST = (SAMPLES / f"basic_{name}_example.py" for name in ("send", "get", "list"))
SIZES = [0, 1, 51_200, 51_201, 300_000]


class SampleFabric:
    """A fabric with a service on the usual topic, and a client configuration for it."""

    def __init__(self, configuration: Path, storage: Path) -> None:
        self.environment = {"DXLCLIENT_CONFIG": str(configuration)}
        self.storage = storage


@pytest.fixture(scope="module")
def running(
    provisioned: Provisioned, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[SampleFabric]:
    """The samples use the usual topic, so they have a fabric of their own."""
    directory = tmp_path_factory.mktemp("samples")
    processes = Processes(directory)
    with EmbeddedBroker(provisioned.broker) as broker:
        fabric = Fabric(broker, provisioned)
        storage = directory / "files"
        processes.start_service(
            fabric.write_service_directory(directory / "config", {"storageDir": storage})
        )
        yield SampleFabric(fabric.write_configuration(directory / "client.config"), storage)
        processes.close()


def finish(sample: RunningProcess, heading: str) -> dict[str, Any]:
    """Wait for a sample to end well, check what it printed and return the dictionary in it."""
    assert sample.wait() == 0, sample.errors
    assert sample.errors == ""
    progress, _, rest = sample.output.replace("\r", "\n").partition(f"\n{heading}\n")
    percents = [
        int(each) for each in re.findall(r"^Percent complete: (\d+)%$", progress, re.MULTILINE)
    ]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    text, _, elapsed = rest.partition("\n}\n")
    assert re.fullmatch(r"Elapsed time \(ms\): \d+\.\d+\n", elapsed)
    result: dict[str, Any] = json.loads(text + "}")
    assert text + "\n}" == json.dumps(result, indent=4, sort_keys=True)
    return result


def make_file(tmp_path: Path, size: int) -> Path:
    path = tmp_path / f"file-{size}"
    path.write_bytes(bytes(range(256)) * (size // 256) + b"x" * (size % 256))
    return path


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_sent_to_the_running_service(
    running: SampleFabric, processes: Processes, tmp_path: Path, size: int
) -> None:
    path = make_file(tmp_path, size)
    sample = processes.start_python(SEND, path, "sub/dir", environment=running.environment)
    result = finish(sample, "Response:")
    assert result["size"] == size
    assert result["hashes"] == {"sha256": sha256(path.read_bytes()).hexdigest()}
    assert (running.storage / "sub" / "dir" / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize("size", SIZES)
def test_a_file_is_stored_with_the_plain_client(
    running: SampleFabric, processes: Processes, tmp_path: Path, size: int
) -> None:
    path = make_file(tmp_path, size)
    sample = processes.start_python(STORE, path, "plain", environment=running.environment)
    result = finish(sample, "Response to the request for the last segment:")
    assert result["result"] == "store"
    assert result["segments_received"] == max(1, -(-size // 51_200))
    assert (running.storage / "plain" / path.name).read_bytes() == path.read_bytes()


def test_a_service_of_its_own_stores_a_file(
    running: SampleFabric, processes: Processes, tmp_path: Path
) -> None:
    path = make_file(tmp_path, 300_000)
    sample = processes.start_python(SERVICE, path, environment=running.environment)
    assert finish(sample, "Response:")["size"] == 300_000
    assert (tmp_path / "stored-files" / path.name).read_bytes() == path.read_bytes()
    assert not (running.storage / path.name).exists()


def finish_transfer(sample: RunningProcess) -> tuple[list[str], dict[str, Any]]:
    """Wait for a sample to end well, check what it printed and return its lines and report."""
    assert sample.wait() == 0, sample.errors
    assert sample.errors == ""
    progress, _, rest = sample.output.replace("\r", "\n").partition("\nFiles:\n")
    percents = [
        int(each) for each in re.findall(r"^Percent complete: (\d+)%$", progress, re.MULTILINE)
    ]
    assert percents == sorted(percents)
    assert percents[-1] == 100
    files, _, rest = rest.partition("Report:\n")
    text, _, elapsed = rest.partition("\n}\n")
    assert re.fullmatch(r"Elapsed time \(ms\): \d+\.\d+\n", elapsed)
    return files.splitlines(), json.loads(text + "}")


def test_a_directory_goes_there_and_back_and_is_removed(
    running: SampleFabric, processes: Processes, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "below").mkdir(parents=True)
    sizes = {make_file(tree, 2_000_000).name: 2_000_000, "below/file-3": 3}
    make_file(tree / "below", 3)
    report = {"files": 2, "bytes": sum(sizes.values()), "failed": 0}

    sent = processes.start_python(SEND_2, tree, "moved", environment=running.environment)
    lines, summary = finish_transfer(sent)
    assert summary == report
    assert sorted(lines) == sorted(f"stored: moved/tree/{n} {s}" for n, s in sizes.items())

    got = processes.start_python(GET, "moved/tree", "copy", environment=running.environment)
    lines, summary = finish_transfer(got)
    assert summary == report
    for name in sizes:
        assert (tmp_path / "copy" / "tree" / name).read_bytes() == (tree / name).read_bytes()

    listed = processes.start_python(LIST, "moved", "remove", environment=running.environment)
    assert listed.wait() == 0, listed.errors
    assert listed.output.splitlines() == [
        "directory: moved/tree 0",
        "directory: moved/tree/below 0",
        "file: moved/tree/below/file-3 3",
        "file: moved/tree/file-2000000 2000000",
        "Removed: 5",
    ]
    assert not (running.storage / "moved").exists()


def test_nothing_is_removed_unless_that_is_asked_for(
    running: SampleFabric, processes: Processes, tmp_path: Path
) -> None:
    (running.storage / "kept").mkdir()
    make_file(running.storage / "kept", 1)
    listed = processes.start_python(LIST, "kept", environment=running.environment)
    assert listed.wait() == 0, listed.errors
    assert listed.output == "file: kept/file-1 1\n"
    assert (running.storage / "kept" / "file-1").exists()


@pytest.mark.parametrize(
    ("script", "arguments"),
    [(SEND_2, "PATH [DIR]"), (GET, "NAME [DIR]"), (LIST, "DIR [remove]")],
)
def test_wrong_arguments_show_the_usage_of_version_2(
    processes: Processes, running: SampleFabric, script: Path, arguments: str
) -> None:
    sample = processes.start_python(script, environment=running.environment)
    assert sample.wait() == 1
    assert sample.errors == f"Usage: {script.name} {arguments}\n"


@pytest.mark.parametrize("script", [SEND, SERVICE, STORE])
def test_wrong_arguments_show_the_usage(
    processes: Processes, running: SampleFabric, script: Path
) -> None:
    sample = processes.start_python(script, environment=running.environment)
    assert sample.wait() == 1
    assert sample.errors == f"Usage: {script.name} FILE [DIR]\n"


def test_an_error_of_the_service_is_shown(
    processes: Processes, running: SampleFabric, tmp_path: Path
) -> None:
    path = make_file(tmp_path, 1)
    sample = processes.start_python(STORE, path, "..", environment=running.environment)
    assert sample.wait() == 1
    assert sample.errors.strip().startswith("Error: ")


def test_the_configuration_beside_the_samples_is_a_template(
    processes: Processes, tmp_path: Path
) -> None:
    common = "import sys; sys.path.append(sys.argv[1]); import common; print(common.CONFIG_FILE)"
    shown = processes.start_python("-c", common, ROOT / "sample", environment={})
    assert shown.wait() == 0
    assert Path(shown.output.strip()) == ROOT / "sample" / "dxlclient.config"
    template = (
        ROOT / "dxlfiletransferservice" / "_config" / "app" / "dxlclient.config"
    ).read_text()
    settings = [line for line in template.splitlines() if line and not line.startswith("#")]
    sample = (ROOT / "sample" / "dxlclient.config").read_text().splitlines()
    assert [line for line in sample if line and not line.startswith("#")] == settings
