"""A client that was written from docs/protocol.md alone works with the service."""

import ast
import importlib.util
import json
import random
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from dxlclient.client import DxlClient

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from tests.fabric import Fabric, new_topic
from tests.processes import ROOT, Processes, RunningProcess
from tests.services import Service, Services

SAMPLES = ROOT / "sample" / "protocol"
PROGRAM = SAMPLES / "independent_client.py"
MODULES = (SAMPLES / "independent_wire.py", PROGRAM)
MEBIBYTE = 2**20


@pytest.fixture(scope="module")
def program() -> ModuleType:
    for path in MODULES:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # The client imports the other module by its name.
        sys.modules[path.stem] = module
        spec.loader.exec_module(module)
    return module


@pytest.fixture
def client(program: ModuleType, dxl_client: DxlClient, service: Service) -> Any:
    client = program.Client(dxl_client, service.topic)
    client.find()
    return client


def write(path: Path, size: int) -> bytes:
    content = random.Random(str(path)).randbytes(size)
    path.write_bytes(content)
    return content


def test_it_uses_nothing_of_this_project() -> None:
    imported: set[str] = set()
    for node in (each for path in MODULES for each in ast.walk(ast.parse(path.read_text()))):
        if isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").split(".")[0])
        elif isinstance(node, ast.Import):
            imported.update(each.name.split(".")[0] for each in node.names)
    own = {path.name for path in ROOT.iterdir() if (path / "__init__.py").exists()}
    assert {"dxlclient", "xxhash"} <= imported
    assert not imported & own


@pytest.fixture(scope="module")
def environment(
    provisioned: Provisioned, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, Path]]:
    """The client's configuration and the storage directory of a service on the usual topic."""
    directory = tmp_path_factory.mktemp("independent")
    processes = Processes(directory)
    with EmbeddedBroker(provisioned.broker) as broker:
        fabric = Fabric(broker, provisioned)
        storage = directory / "files"
        processes.start_service(
            fabric.write_service_directory(directory / "config", {"storageDir": storage})
        )
        yield fabric.write_configuration(directory / "client.config"), storage
        processes.close()


def test_every_command_of_the_program(
    environment: tuple[Path, Path], processes: Processes, tmp_path: Path
) -> None:
    configuration, storage = environment

    def run(*arguments: str | Path) -> list[Any]:
        done = processes.start_python(PROGRAM, configuration, *arguments)
        assert done.wait() == 0, done.errors
        return [json.loads(line) for line in done.output.splitlines()]

    (hello,) = run("hello")
    assert "segment" in hello["verbs"].split()
    content = write(tmp_path / "large", 5 * MEBIBYTE + 1)
    (stored,) = run("put", tmp_path / "large", "into/large")
    assert (stored["state"], stored["sha256"]) == ("stored", sha256(content).hexdigest())
    assert (storage / "into" / "large").read_bytes() == content

    run("get", "into/large", tmp_path / "back")
    assert (tmp_path / "back").read_bytes() == content

    (tmp_path / "tree" / "empty").mkdir(parents=True)
    small = {f"{n:04}": write(tmp_path / "tree" / f"{n:04}", n) for n in range(1001)}
    results = run("batch", tmp_path / "tree", "into/tree")
    assert [len(batch) for batch in results] == [1000, 2]
    assert all(each == {"state": "stored"} for batch in results for each in batch)
    assert {path.name: path.read_bytes() for path in (storage / "into/tree").glob("0*")} | {
        "1000": (storage / "into/tree/1000").read_bytes()
    } == small

    listed = run("list", "into")
    assert len(listed) == 1 + 1 + len(small) + 1
    (entry,) = run("stat", "into/large")
    assert entry in listed
    assert (entry["kind"], entry["size"]) == ("file", len(content))
    assert run("remove", "into") == [len(listed) + 1]
    assert not (storage / "into").exists()


def test_errors_are_shown(environment: tuple[Path, Path], processes: Processes) -> None:
    refused = processes.start_python(PROGRAM, environment[0], "stat", "nothing")
    assert refused.wait() == 1
    assert "(122)" in refused.errors


@pytest.mark.parametrize("size", [0, 1, 1_040_384, 1_040_385])
def test_sizes(client: Any, service: Service, tmp_path: Path, size: int) -> None:
    content = write(tmp_path / "source", size)
    assert client.put(tmp_path / "source", f"sizes/{size}")["size"] == str(size)
    assert (service.storage / "sizes" / str(size)).read_bytes() == content
    client.get(f"sizes/{size}", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == content


def test_a_file_goes_on_after_the_service_was_killed(
    program: ModuleType, dxl_client: DxlClient, services: Services, tmp_path: Path
) -> None:
    topic = new_topic()
    service = services.start("killed", topic)
    content = write(tmp_path / "source", 4 * MEBIBYTE)
    client = program.Client(dxl_client, topic)
    store_id = client.find()["store_id"]
    killed: list[RunningProcess] = []
    sent: list[int] = []
    ask = client.ask

    def ask_and_kill(verb: str, fields: dict[str, str], payload: bytes = b"") -> Any:
        if verb == "finish" and not killed:
            flushing = {"file_id": fields["file_id"], "flush": "1"}
            assert ask("status", flushing)[0]["durable"] == f"0-{len(content)}"
            service.process.kill()
            killed.append(service.process)
            services.start("killed", topic)
        sent.extend([len(payload)] if verb == "segment" else [])
        return ask(verb, fields, payload)

    client.ask = ask_and_kill
    assert client.put(tmp_path / "source", "file")["state"] == "stored"
    assert client.hello["store_id"] == store_id
    assert (service.storage / "file").read_bytes() == content
    assert killed
    assert sum(sent) == len(content)


def test_asking_for_a_lost_receipt_sends_nothing(client: Any, tmp_path: Path) -> None:
    write(tmp_path / "source", MEBIBYTE)
    first = client.put(tmp_path / "source", "receipt")
    client._send_missing = None
    again = client.put(tmp_path / "source", "receipt")
    assert (again["state"], again["version"]) == ("stored", first["version"])
    assert again["version"] == client.stat("receipt")["version"]


def test_a_batch_tells_what_became_of_each_entry(client: Any, service: Service) -> None:
    digest = sha256(b"abc").hexdigest()
    results = client.batch(
        [
            ({"name": "batch/file", "sha256": digest}, b"abc"),
            ({"name": "../outside", "sha256": digest}, b"abc"),
            ({"name": "batch/damaged", "sha256": digest}, b"xyz"),
            ({"name": "batch/link", "kind": "link", "target": "file"}, b""),
            ({"name": "batch/directory", "kind": "directory"}, b""),
        ]
    )
    assert [each.get("state") for each in results] == ["stored", None, None, None, "stored"]
    assert [each.get("code") for each in results] == [None, 120, 101, 126, None]
    assert (service.storage / "batch" / "file").read_bytes() == b"abc"


def test_a_list_in_pages(client: Any) -> None:
    digest = sha256(b"").hexdigest()
    names = [f"pages/{name}" for name in ("a", "a/b", "a/c", "a-", "b")]
    client.batch([({"name": name, "sha256": digest}, b"") for name in names[1:]])
    listed = [entry["name"] for entry in client.list("pages", limit=2)]
    assert listed == names
    shallow = [entry["name"] for entry in client.list("pages", recursive=False, limit=1)]
    assert shallow == ["pages/a", "pages/a-", "pages/b"]


@pytest.mark.parametrize(
    ("overwrite", "outcome"),
    [("replace", "stored"), ("newer", "stored"), ("keep", "kept"), ("fail", 121)],
)
def test_overwrite_modes(
    program: ModuleType, client: Any, tmp_path: Path, overwrite: str, outcome: str | int
) -> None:
    name = f"modes/{overwrite}"
    digest = sha256(b"old").hexdigest()
    client.batch([({"name": name, "sha256": digest, "modified_ns": 0}, b"old")])
    (tmp_path / "new").write_bytes(b"newer")
    if isinstance(outcome, int):
        with pytest.raises(program.RefusedError) as refused:
            client.put(tmp_path / "new", name, overwrite)
        assert refused.value.code == outcome
    else:
        assert client.put(tmp_path / "new", name, overwrite)["state"] == outcome


def test_a_damaged_request_is_refused(program: ModuleType, client: Any, service: Service) -> None:
    fields = program.sealed({"name": "anything"}, b"")
    fields["name"] = "something"
    response = client.send(f"{service.topic}/v2/stat", fields)
    assert response.error_code == 101
    assert response.other_fields["code"] == "101"
    assert program.is_whole(response.other_fields, response.payload)


class TestWhatTheDocumentSaysOfSpecialCases:
    @pytest.fixture(autouse=True)
    def stored(self, client: Any, service: Service) -> None:
        digest = sha256(b"abc").hexdigest()
        client.batch([({"name": f"c/{n}/file", "sha256": digest}, b"abc") for n in (1, 2)])
        client.batch([({"name": "c/nothing", "sha256": sha256(b"").hexdigest()}, b"")])
        if not (service.storage / "c" / "link").is_symlink():
            (service.storage / "c" / "link").symlink_to("1")
            (service.storage / "c" / "away").symlink_to("/")

    @pytest.mark.parametrize(
        ("name", "offset", "size"), [("nothing", 0, 0), ("1/file", 3, 3), ("1/file", 9, 3)]
    )
    def test_nothing_is_retrieved_at_and_after_the_end(
        self, client: Any, name: str, offset: int, size: int
    ) -> None:
        asked = {"name": f"c/{name}", "offset": str(offset), "length": "10"}
        answer, payload = client.ask("retrieve", asked)
        assert (answer["offset"], answer["size"], payload) == (str(offset), str(size), b"")
        assert answer.get("sha256") == (None if size else sha256(b"").hexdigest())

    @pytest.mark.parametrize(
        ("verb", "fields", "code"),
        [
            ("list", {"name": "c/1/file"}, 123),
            ("list", {"name": "c/1", "after": "c/2/file"}, 100),
            ("list", {"name": "c/link"}, 123),
            ("stat", {"name": "c/link/file"}, 122),
            ("retrieve", {"name": "c/link", "offset": "0", "length": "1"}, 123),
            ("retrieve", {"name": "c/1", "offset": "0", "length": "1"}, 123),
            ("retrieve", {"name": "c/1/file", "offset": "0", "length": "1040385"}, 100),
            (
                "retrieve",
                {"name": "c/1/file", "offset": "0", "length": "1", "version": ""},
                125,
            ),
            ("remove", {"name": ""}, 120),
            ("remove", {"name": ".workdir", "recursive": "1"}, 120),
            ("remove", {"name": "c/1"}, 124),
            ("remove", {"name": "c/none"}, 122),
            ("status", {"file_id": "none"}, 110),
            ("open", {"file_id": "a", "name": "c/link/file"}, 123),
            ("open", {"file_id": "a", "name": "c/1/file/more"}, 123),
            ("open", {"file_id": "a", "name": "c/1"}, 123),
            ("open", {"file_id": "a", "name": "../c"}, 120),
            ("open", {"file_id": "a.b", "name": "c/new"}, 100),
            ("open", {"file_id": "a", "name": "c/new", "executable": "yes"}, 100),
            ("open", {"file_id": "a"}, 100),
        ],
    )
    def test_errors(
        self, program: ModuleType, client: Any, verb: str, fields: dict[str, str], code: int
    ) -> None:
        with pytest.raises(program.RefusedError) as refused:
            client.ask_once(verb, fields)
        assert refused.value.code == code

    def test_where_links_lead_is_told_as_long_as_that_is_in_the_storage(self, client: Any) -> None:
        assert client.stat("c/link")["target"] == "1"
        assert client.stat("c/away").get("target") is None

    def test_unknown_fields_and_members_are_ignored(self, client: Any) -> None:
        client.ask("stat", {"name": "c/1", "of_the_future": "x"})
        digest = sha256(b"abc").hexdigest()
        members = {"name": "c/1/file", "sha256": digest, "of_the_future": 1}
        assert client.batch([(members, b"abc")]) == [{"state": "stored"}]

    def test_open_tells_at_once_that_the_old_file_is_kept(self, client: Any) -> None:
        opening = {"file_id": "kept", "name": "c/1/file", "overwrite": "keep"}
        assert client.ask("open", opening)[0]["state"] == "kept"

    def test_a_remembered_id_with_another_whole_is_a_mismatch(self, client: Any) -> None:
        whole = {"size": "3", "sha256": sha256(b"abc").hexdigest()}
        client.ask("open", {"file_id": "remembered", "name": "c/remembered"})
        assert client.ask("finish", {"file_id": "remembered", **whole})[0]["state"] == "receiving"
        client.ask("segment", {"file_id": "remembered", "offset": "0"}, b"abc")
        assert client.ask("finish", {"file_id": "remembered", **whole})[0]["state"] == "stored"
        other = {**whole, "sha256": sha256(b"xyz").hexdigest()}
        answer = client.ask("finish", {"file_id": "remembered", **other})[0]
        assert (answer["state"], answer.get("damaged")) == ("mismatch", None)
        client.ask("abort", {"file_id": "remembered"})
        opening = {"file_id": "remembered", "name": "c/remembered"}
        assert client.ask("open", opening)[0]["state"] == "receiving"
        client.ask("abort", {"file_id": "remembered"})

    def test_bytes_that_come_again_must_be_the_same(self, program: ModuleType, client: Any) -> None:
        client.ask("open", {"file_id": "twice", "name": "c/twice"})
        place = {"file_id": "twice", "offset": "5"}
        for _ in range(2):
            assert client.ask("segment", place, b"abc")[0]["held"] == "5-8"
        with pytest.raises(program.RefusedError) as refused:
            client.ask("segment", place, b"xyz")
        assert refused.value.code == 112
        client.ask("abort", {"file_id": "twice"})
