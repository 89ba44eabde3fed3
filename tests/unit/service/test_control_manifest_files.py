from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from dxlfiletransferservice.admission.manifestreader import ManifestReader
from dxlfiletransferservice.control.manifests.manifestfiles import ManifestFiles
from dxlfiletransferservice.control.sending.sendingseams import Files
from dxlfiletransferservice.courier.seams import ManifestFile
from tests.unit.service.manifesting import ManifestWorld, manifest_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[ManifestWorld]:
    with manifest_world(tmp_path, page=3) as found:
        yield found


def test_couriers_and_downloads_can_use_it(world: ManifestWorld) -> None:
    def take(sending: Files, reading: ManifestReader) -> tuple[int, int]:
        return len(list(sending.files(1, 0))), len(reading.children(1, "", "", 1))

    assert take(world.files, world.files) == (0, 0)


def test_files_are_sent_in_order_from_any_position_on(world: ManifestWorld) -> None:
    world.write("d/a", "d/b/c", "d/e/", "f", content=b"123")
    found = world.made({"/to": "/d", "/f": "/f"})
    assert (found["totalFiles"], found["totalSize"]) == (4, 9)
    number = int(found["manifestId"])
    root = world.files_root
    modified = (root / "d/a").stat().st_mtime_ns // 1000
    listed = world.listed(found)
    assert [(each.number, each.dest, each.src, each.size, each.directory) for each in listed] == [
        (0, "f", str(root / "f"), 3, False),
        (1, "to/a", str(root / "d/a"), 3, False),
        (2, "to/b/c", str(root / "d/b/c"), 3, False),
        (3, "to/e", str(root / "d/e"), 0, True),
    ]
    assert listed[1].modified_us == modified
    for position in range(5):
        assert list(world.files.files(number, position)) == listed[position:]
    assert list(world.files.files(number + 1, 0)) == []


def test_the_source_of_a_declared_file_need_not_be_there(world: ManifestWorld) -> None:
    found = world.made(
        {"a/file": {"src": "/no/file", "size": 5, "access": "x"}, "b": {"src": "/no/directory"}}
    )
    assert world.listed(found) == [
        ManifestFile(0, f"{world.files_root}/no/file", "a/file", 5, False, True, None),
        ManifestFile(1, f"{world.files_root}/no/directory", "b", 0, True, False, None),
    ]


def test_no_transaction_is_open_between_two_pages(world: ManifestWorld) -> None:
    world.write(*(f"d/{number}" for number in range(10)))
    found = world.made({"d": "/d"})
    files = world.files.files(int(found["manifestId"]), 0)
    assert next(files).dest == "d/0"
    world.database._engine.dispose()
    assert world.database._engine.pool.checkedout() == 0  # type: ignore[attr-defined]
    assert [each.dest for each in files] == [f"d/{number}" for number in range(1, 10)]


def test_a_file_is_found_by_its_destination(world: ManifestWorld) -> None:
    world.write("d/a", "d/b/", "d/c/x")
    number = int(world.made({"to": "/d"})["manifestId"])
    file, directory = world.files.file(number, "to/a"), world.files.file(number, "to/b")
    assert file is not None
    assert directory is not None
    assert (file.dest, file.directory, directory.dest, directory.directory) == (
        "to/a",
        False,
        "to/b",
        True,
    )
    for name in ("to", "to/c", "a", "", "to/a/", "/to/a", "to/c/y"):
        assert world.files.file(number, name) is None
    assert world.files.file(number + 1, "to/a") is None


parts = st.sampled_from(["a", "b", "a-", "a.b", "c d", "\x01", "\U0001f600", "\uffff"])
paths = st.lists(parts, min_size=1, max_size=4).map("/".join)


def below(files: list[str], prefix: str) -> dict[str, bool]:
    """Return what is in a directory: its names, and whether they are files."""
    start = f"{prefix}/" if prefix else ""
    rest = [each[len(start) :] for each in files if each.startswith(start)]
    return {each.split("/")[0]: "/" not in each for each in rest}


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.sets(paths, min_size=1, max_size=25), st.integers(1, 4))
def test_children_are_those_of_the_tree(world: ManifestWorld, wanted: set[str], limit: int) -> None:
    files = [each for each in wanted if not any(o.startswith(f"{each}/") for o in wanted)]
    found = world.made({each: {"src": "/s", "size": 1} for each in files})
    number = int(found["manifestId"])
    directories = {"/".join(each.split("/")[:n]) for each in files for n in range(4)} - set(files)
    for directory in directories:
        expected = sorted(below(files, directory).items())
        children: list[Any] = []
        while True:
            after = children[-1].name if children else ""
            page = world.files.children(number, directory, after, limit)
            children += page
            if len(page) < limit:
                break
        assert [(each.name, each.file is not None) for each in children] == expected
        for each in children:
            if each.file is not None:
                dest = f"{directory}/{each.name}" if directory else each.name
                assert each.file.dest == dest
                assert each.file == world.files.file(number, dest)
    assert world.files.children(number, files[0], "", limit) == []
    assert world.files.children(number + 1, "", "", limit) == []


def test_a_large_directory_needs_no_look_at_what_is_in_its_directories(tmp_path: Path) -> None:
    with manifest_world(tmp_path, started=False) as world:
        query = "EXPLAIN QUERY PLAN "
        seen: list[str] = []
        with world.database.read() as connection:
            engine = connection.engine

        def explain(conn: Any, _c: Any, statement: str, parameters: Any, _x: Any, _m: bool) -> None:
            if not statement.startswith(query):
                plan = conn.connection.cursor().execute(query + statement, parameters).fetchall()
                seen.extend(row[3] for row in plan)

        event.listen(engine, "before_cursor_execute", explain)
        ManifestFiles(world.database).children(1, "a", "b", 10)
        ManifestFiles(world.database).file(1, "a/b")
        list(ManifestFiles(world.database).files(1, 5))
    plans = "\n".join(seen)
    assert "SEARCH manifest_files USING INDEX manifest_files_by_name" in plans
    assert "manifest_directories_by_name (manifest_id=? AND parent=? AND name>?)" in plans
    assert "SEARCH manifest_files USING PRIMARY KEY (manifest_id=? AND number>?)" in plans
    assert "TEMP B-TREE" not in plans
    assert "SCAN manifest" not in plans
