"""``dxlft send``, ``get``, ``ls``, ``stat`` and ``rm`` as real processes."""

import json
import os
import random
import signal
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from tests.commandline import (
    CommandLine,
    brokers_of,
    code_of,
    problem,
    problems,
    reads_everything,
    sha256,
)
from tests.processes import RunningProcess
from tests.waiting import TIMEOUT

GOES_ON = "dxlft: interrupted; the same command goes on where this one stopped"

LARGE = 40_000_000
"""Bytes of a file that takes some seconds in small segments."""

SMALL_SEGMENTS = ("--segment-size", "10000")

TOO_DEEP = "0" * 255
"""Name of directories in each other, up to one whose name is too long. The one above is so much
shorter that its path can still be used, wherever the test's own directory is."""


def stored(dxlft: CommandLine) -> Path:
    return dxlft.home / "storage"


def write_large(path: Path) -> Path:
    """Write a file no part of which is like another."""
    path.write_bytes(random.Random(LARGE).randbytes(LARGE))
    return path


def write_tree(root: Path) -> dict[str, bytes]:
    """Write files in directories of all depths, and return what is in them."""
    longest = "ü" * 127 + "x"
    names = ["a", "b/empty", "b/c/two words", "b/c/d/é ß [red]", "b/line\nbreak", f"b/{longest}"]
    contents = {name: name.encode() * 1000 for name in names}
    contents["b/empty"] = b""
    contents["b/large"] = b"0123456789" * 300_000
    for name, content in contents.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    (root / "nothing here").mkdir()
    return contents


def read_tree(root: Path) -> dict[str, bytes]:
    paths = [path for path in root.rglob("*") if path.is_file()]
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


def write_nasty_tree(root: Path) -> tuple[dict[str, bytes], dict[str, str]]:
    """Write a tree in which much cannot be sent; return what can be, and why the rest cannot."""
    contents = write_tree(root)
    deep = "/".join(f"{level:03}" for level in range(200))
    contents.update({f"{deep}/bottom": b"deep", f"b/{'n' * 255}": b"long", "b/\x1b[31m\t ": b"odd"})
    for name in contents:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(contents[name])

    reasons = {
        "socket": "is a socket; none can be sent",
        "pipe": "is a named pipe; it is sent only if it is named itself",
        "loop/self": "is a link that leads back to itself",
        "loop/up": "is a link that leads back to a directory it is in",
        "loop/nowhere": "is a link that leads nowhere",
        "bytes \ufffd": "cannot be encoded as UTF-8",
        TOO_DEEP: "has more than 4096 bytes",
    }
    os.mknod(root / "socket", stat.S_IFSOCK | 0o600)
    os.mkfifo(root / "pipe")
    with suppress(PermissionError):  # only root may, and not everywhere
        os.mknod(root / "device", stat.S_IFCHR | 0o600, os.makedev(1, 3))
        reasons["device"] = "is a device; it is sent only if it is named itself"
    (root / "loop").mkdir()
    for name, target in (("self", "self"), ("up", ".."), ("nowhere", "missing")):
        (root / "loop" / name).symlink_to(target)
    (root / os.fsdecode(b"bytes \xff")).write_bytes(b"x")
    make_too_deep(root / TOO_DEEP)
    if not reads_everything():
        (root / "unreadable").mkdir()
        for name, size in (("unreadable/small", 1), ("unreadable/large", 3_000_000)):
            (root / name).write_bytes(b"x" * size)
            (root / name).chmod(0)
            reasons[name] = "Permission denied"
        (root / "closed").mkdir(mode=0)
        reasons["closed"] = "Permission denied"
    return contents, reasons


def make_too_deep(path: Path) -> None:
    """Make directories that are deeper than any path can be long."""
    path.mkdir()
    descriptor = os.open(path, os.O_RDONLY)
    for _ in range(16):
        os.mkdir(path.name, dir_fd=descriptor)
        below = os.open(path.name, os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)


def interrupt(process: RunningProcess, number: int) -> None:
    process.wait_for_error_line(" % of ")
    process.process.send_signal(number)
    assert process.wait(TIMEOUT) == 130
    assert problem(process) == GOES_ON
    assert process.output == ""


def test_files_are_stored_under_their_names(shared: CommandLine, tmp_path: Path) -> None:
    contents = {"empty": b"", "two words.txt": b"a" * 3_000_000, "é ü ß [red].bin": b"\0\xff" * 5}
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)

    process = shared.run("send", *(tmp_path / name for name in contents), "--to", "in/the box")

    assert code_of(process) == 0, process.errors
    lines = process.output.splitlines()
    for (name, content), line in zip(contents.items(), lines, strict=True):
        path = stored(shared) / "in" / "the box" / name
        assert path.read_bytes() == content
        words = f"in/the box/{name}: {len(content):,} bytes, SHA-256 {sha256(path)}, "
        assert line.startswith(words)
        assert line.endswith(" MB/s")
    assert "100 % of 3,000,010 bytes, 3 of 3 files" in process.errors
    assert problems(process) == []


def test_file_under_another_name_and_configuration(
    dxlft: CommandLine, shared: CommandLine, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(b"content")
    arguments = (tmp_path / "a", "--to", "2026/b", "--config", shared.configuration)
    process = dxlft.run("send", *arguments, "--segment-size", "3")
    assert code_of(process) == 0, process.errors
    assert (stored(shared) / "2026" / "b").read_bytes() == b"content"


def test_failed_files_do_not_stop_the_others(shared: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "good").write_bytes(b"content")
    (tmp_path / "nowhere").symlink_to("missing")
    arguments = (tmp_path / "missing", tmp_path / "nowhere", tmp_path / "good")
    process = shared.run("send", *arguments)
    assert code_of(process) == 1
    assert (stored(shared) / "good").read_bytes() == b"content"
    assert process.output.startswith("good: 7 bytes")
    assert problems(process) == [
        f"dxlft: {tmp_path}/missing: No such file or directory",
        f"dxlft: {tmp_path}/nowhere is a link that leads nowhere",
    ]


def test_name_that_the_service_refuses(shared: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"content")
    process = shared.run("send", tmp_path / "a", "--to", ".workdir/a")
    assert code_of(process) == 1
    assert f"{tmp_path}/a: " in problem(process)


def test_tree_there_and_back(shared: CommandLine, tmp_path: Path) -> None:
    contents = write_tree(tmp_path / "tree")

    process = shared.run("send", tmp_path / "tree", "--to", "trees")

    assert code_of(process) == 0, process.errors
    assert read_tree(stored(shared) / "trees" / "tree") == contents
    assert (stored(shared) / "trees" / "tree" / "nothing here").is_dir()
    size = sum(map(len, contents.values()))
    (line,) = process.output.splitlines()
    assert line.startswith(f"{len(contents) + 1} files, {size:,} bytes, ")

    process = shared.run("get", "trees/tree", "-o", tmp_path / "copies")

    assert code_of(process) == 0, process.errors
    assert read_tree(tmp_path / "copies" / "tree") == contents
    assert (tmp_path / "copies" / "tree" / "nothing here").is_dir()
    (line,) = process.output.splitlines()
    assert f" {size:,} bytes, " in line


def test_content_of_a_directory_with_a_line_for_each_file(
    shared: CommandLine, tmp_path: Path
) -> None:
    contents = write_tree(tmp_path / "tree")
    process = shared.run("send", f"{tmp_path}/tree/.", "--to", "content/", "--verbose")
    assert code_of(process) == 0, process.errors
    assert read_tree(stored(shared) / "content") == contents
    lines = process.output.splitlines()
    assert len(lines) == len(contents) + 2
    assert any(
        line.startswith("content/b/line\ufffdbreak: 12,000 bytes, SHA-256") for line in lines
    )


def test_tree_much_of_which_cannot_be_sent(shared: CommandLine, tmp_path: Path) -> None:
    tree = tmp_path / "nasty"
    contents, reasons = write_nasty_tree(tree)

    process = shared.run_as_anybody("send", tree)

    assert code_of(process) == 1
    assert read_tree(stored(shared) / "nasty") == contents
    lines = problems(process)
    for name, reason in reasons.items():
        found = [line for line in lines if line.startswith(f"dxlft: {tree}/{name}")]
        assert len(found) == 1, (name, lines)
        assert found[0].endswith(reason)
    assert len(lines) == len(reasons)
    skipped = sum("only if it is named" in line or "a socket" in line for line in lines)
    (summary,) = process.output.splitlines()
    assert summary.endswith(f"({skipped} skipped, {len(reasons) - skipped} failed)")
    assert "\n100 % of " in process.errors


def test_file_that_is_there_already(shared: CommandLine, tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"content" * 300_000)
    for word in ("MB/s", "unchanged"):
        process = shared.run("send", tmp_path / "there")
        assert code_of(process) == 0, process.errors
        assert process.output.rstrip().endswith(word)


@pytest.mark.parametrize(
    ("mode", "content", "words"),
    [
        ("keep", b"first", "mode-keep: the file that was there is kept\n"),
        ("replace", b"second!", "mode-replace: 7 bytes, "),
        ("newer", b"first", "mode-newer: the file that was there is kept\n"),
    ],
)
def test_overwriting(
    shared: CommandLine, tmp_path: Path, mode: str, content: bytes, words: str
) -> None:
    path = tmp_path / f"mode-{mode}"
    path.write_bytes(b"first")
    assert code_of(shared.run("send", path)) == 0
    path.write_bytes(b"second!")
    os.utime(path, (1, 1))
    process = shared.run("send", path, "--overwrite", mode)
    assert code_of(process) == 0, process.errors
    assert process.output.startswith(words)
    assert (stored(shared) / path.name).read_bytes() == content


def test_file_that_must_not_be_overwritten(shared: CommandLine, tmp_path: Path) -> None:
    path = tmp_path / "mode-fail"
    for content, code in ((b"first", 0), (b"first", 0), (b"second!", 1)):
        path.write_bytes(content)
        process = shared.run("send", path, "--overwrite", "fail")
        assert code_of(process) == code, process.errors
    assert problem(process).startswith(f"dxlft: {path}: ")
    assert (stored(shared) / "mode-fail").read_bytes() == b"first"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_file_goes_on(dxlft: CommandLine, tmp_path: Path, number: int) -> None:
    dxlft.server()
    source = write_large(tmp_path / "large")

    interrupt(dxlft.start("send", source, *SMALL_SEGMENTS), number)
    assert not (stored(dxlft) / "large").exists()

    process = dxlft.run("send", source)
    assert code_of(process) == 0, process.errors
    assert sha256(stored(dxlft) / "large") == sha256(source)
    assert process.output.startswith(f"large: {LARGE:,} bytes, SHA-256 {sha256(source)}, ")
    assert process.output.endswith(" bytes were there already\n")


def test_interrupted_download_goes_on(shared: CommandLine, tmp_path: Path) -> None:
    source = write_large(stored(shared) / "to be interrupted")
    target = tmp_path / "copy"

    arguments = ("get", source.name, "-o", target)
    interrupt(shared.start(*arguments, *SMALL_SEGMENTS), signal.SIGINT)
    assert not target.exists()

    process = shared.run(*arguments)
    assert code_of(process) == 0, process.errors
    assert sha256(target) == sha256(source)
    assert process.output.endswith(" bytes were there already\n")
    assert [path.name for path in tmp_path.iterdir()] == ["copy"]


def test_server_that_is_killed_and_started_again(dxlft: CommandLine, tmp_path: Path) -> None:
    server = dxlft.server()
    ((_, port),) = brokers_of(server)
    source = write_large(tmp_path / "large")
    process = dxlft.start("send", source, *SMALL_SEGMENTS)
    process.wait_for_error_line(" % of ")

    server.kill()
    dxlft.server("--port", port)

    assert process.wait(2 * TIMEOUT) == 0, process.errors
    assert sha256(stored(dxlft) / "large") == sha256(source)


def test_standard_input_and_output(shared: CommandLine) -> None:
    content = bytes(range(256)) * 20_000
    process = shared.pipe("send", "-", "--to", "from a pipe", data=content)
    assert process.returncode == 0, process.stderr
    assert process.stdout.startswith(b"from a pipe: 5,120,000 bytes, SHA-256 ")
    assert (stored(shared) / "from a pipe").read_bytes() == content

    process = shared.pipe("get", "from a pipe", "-o", "-")
    assert process.returncode == 0, process.stderr
    assert process.stdout == content
    assert b"from a pipe: 5,120,000 bytes, SHA-256 " in process.stderr


def test_get_of_what_is_not_there(shared: CommandLine, tmp_path: Path) -> None:
    (stored(shared) / "there").write_bytes(b"content")
    process = shared.run("get", "not there", "there", "-o", tmp_path)
    assert code_of(process) == 1
    assert problem(process).startswith("dxlft: not there: ")
    assert (tmp_path / "there").read_bytes() == b"content"


def test_listing(shared: CommandLine) -> None:
    directory = stored(shared) / "listed"
    names = write_tree(directory)

    process = shared.run("ls", "listed")
    assert code_of(process) == 0, process.errors
    assert process.output.splitlines() == ["listed/a", "listed/b", "listed/nothing here"]

    process = shared.run("ls", "listed/nothing here")
    assert (code_of(process), process.output) == (0, "")

    found = shared.pipe("ls", "-R", "-0", "listed").stdout.decode().split("\0")[:-1]
    directories = {"b", "b/c", "b/c/d", "nothing here"}
    assert sorted(found) == sorted(f"listed/{name}" for name in {*names, *directories})

    os.utime(directory / "a", ns=(0, 1_777_636_800_123_456_789))
    (directory / "a").chmod(0o755)
    lines = shared.run("ls", "-l", "listed").output.splitlines()
    assert lines[0] == "file                 1000 2026-05-01T12:00:00Z x listed/a"


def test_facts(shared: CommandLine) -> None:
    path = stored(shared) / "facts"
    path.write_bytes(b"content" * 1_000_000)
    process = shared.run("stat", "facts", "no facts")
    assert code_of(process) == 1
    assert problem(process).startswith("dxlft: no facts: ")
    assert "name: facts\nkind: file\nsize: 7000000\n" in process.output
    assert f"sha256: {sha256(path)}\n" in process.output
    facts = json.loads(shared.run("stat", "--json", "facts").output)
    assert (facts["size"], facts["sha256"]) == (7_000_000, sha256(path))


def test_removing(shared: CommandLine) -> None:
    directory = stored(shared) / "removed"
    write_tree(directory)

    process = shared.run("rm", "removed", "removed/a")
    assert code_of(process) == 1
    assert problem(process).startswith("dxlft: removed: ")
    assert process.output == "removed removed/a\n"
    assert not (directory / "a").exists()

    process = shared.run("rm", "-r", "removed")
    assert code_of(process) == 0, process.errors
    assert process.output.startswith("removed removed (")
    assert not directory.exists()


@pytest.mark.parametrize("shown", ["yes", "no"])
def test_removing_where_it_is_not_allowed(dxlft: CommandLine, shown: str) -> None:
    settings = dxlft.home / "service" / "dxlfiletransferservice.config"
    settings.parent.mkdir(parents=True)
    access = f"[Access]\nremove=no\nlist={shown}\nretrieve={shown}\n"
    settings.write_text(f"[General]\nstorageDir={stored(dxlft)}\n{access}")
    dxlft.server()
    (stored(dxlft) / "a").write_bytes(b"content")

    process = dxlft.run("rm", "a")
    assert code_of(process) != 0
    assert "not configured to take 'remove' requests" in problem(process)
    assert (stored(dxlft) / "a").read_bytes() == b"content"


def test_service_that_is_not_there(dxlft: CommandLine, tmp_path: Path) -> None:
    broker = dxlft.start("broker", "--port", "0")
    broker.wait_for_line("ready")
    (tmp_path / "a").touch()
    for arguments in (("send", tmp_path / "a"), ("get", "a"), ("ls",), ("stat", "a"), ("rm", "a")):
        process = dxlft.run(*arguments)
        assert code_of(process) == 1
        assert problem(process)
