"""Holders of shared tokens fetch what these open, and nothing else."""

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.protocol.messages import (
    DoneAnswer,
    FinishRequest,
    Kind,
    ListRequest,
    RemoveAnswer,
    RemoveRequest,
    TransferAnswer,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import CallRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, SessionPurpose
from dxlfiletransferservice.admission.manifestreader import ManifestChild
from dxlfiletransferservice.admission.manifeststore import ManifestStore
from dxlfiletransferservice.admission.sourcefiles import HASHED_AT_ONCE, SourceFiles
from dxlfiletransferservice.admission.standing import RECHECK_SECONDS
from dxlfiletransferservice.courier.seams import ManifestFile
from tests.unit.client.cataloguing import sha256
from tests.unit.service.admitting import ALICE, MALLORY, Conversation, denied
from tests.unit.service.downloading import Sharer, download, sharer
from tests.waiting import wait_until

TREE = {"a.txt": b"a", "d/b.bin": b"bb", "d/e/c": b"", "d-e/x": b"x", "empty/": b""}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Sharer]:
    with sharer(tmp_path) as made:
        made.write(TREE)
        yield made


# Content


def test_a_tree(world: Sharer) -> None:
    down = world.enter(world.share())

    entries = {entry.name: entry for entry in down.entries()}

    assert list(entries) == [
        "tree",
        "tree/a.txt",
        "tree/d",
        "tree/d/b.bin",
        "tree/d/e",
        "tree/d/e/c",
        "tree/d-e",
        "tree/d-e/x",
        "tree/empty",
    ]
    kinds = {name: entry.kind for name, entry in entries.items()}
    assert {name for name, kind in kinds.items() if kind is Kind.DIRECTORY} == {
        "tree",
        "tree/d",
        "tree/d/e",
        "tree/d-e",
        "tree/empty",
    }
    for name, content in TREE.items():
        if name.endswith("/"):
            continue
        entry = entries[f"tree/{name}"]
        answer = down.retrieve(entry.name, version=entry.version)
        assert bytes(answer.payload) == content
        assert (answer.size, answer.sha256) == (len(content), sha256(content))
        assert entry.modified_ns == (world.files / name).stat().st_mtime_ns
        assert down.stat(entry.name).entry == (entry,)


def test_pages(world: Sharer) -> None:
    down = world.enter(world.share())
    everything = down.names()

    for limit in (1, 2, 3, 1000):
        assert down.names(limit=limit) == everything
        assert down.names("tree/d", recursive=False, limit=limit) == ["tree/d/b.bin", "tree/d/e"]
        assert down.names("tree/d", limit=limit) == ["tree/d/b.bin", "tree/d/e", "tree/d/e/c"]
        assert down.names("", recursive=False, limit=limit) == ["tree"]
        assert down.names("tree/empty", limit=limit) == []


def test_where_no_page_begins(world: Sharer) -> None:
    down = world.enter(world.share())
    for after in ("other/x", "tree", "../x", "tree/d/e/c"):
        recursive = after != "tree/d/e/c"
        with denied(ErrorCode.UNSAFE_NAME if ".." in after else ErrorCode.INVALID):
            down.page(name="tree/d", recursive=recursive, after=after)


def test_single_files_and_mappings(world: Sharer) -> None:
    mappings = {
        "report.txt": str(world.files / "a.txt"),
        "in/side/b": str(world.files / "d" / "b.bin"),
    }
    down = world.enter(world.share(mappings))

    assert down.names() == ["in", "in/side", "in/side/b", "report.txt"]
    assert bytes(down.retrieve("in/side/b").payload) == b"bb"
    assert down.stat("in/side").entry[0].kind is Kind.DIRECTORY


def test_what_is_not_there(world: Sharer) -> None:
    down = world.enter(world.share())
    for name in ("x", "tree/x", "tree/a.txt/x", "tre", "tree/d/b"):
        with denied(ErrorCode.NOT_FOUND):
            down.stat(name)
        with denied(ErrorCode.NOT_FOUND):
            down.retrieve(name)
        with denied(ErrorCode.NOT_FOUND):
            down.page(name=name)
    for name in ("tree", "tree/d", "tree/empty", ""):
        with denied(ErrorCode.WRONG_KIND):
            down.retrieve(name)
    with denied(ErrorCode.WRONG_KIND):
        down.page(name="tree/a.txt")


def test_names_that_try_to_escape(world: Sharer) -> None:
    down = world.enter(world.share())
    for name in ("..", "../a.txt", "/etc/passwd", "tree/../../x", "a\0"):
        for ask in (down.stat, down.retrieve, lambda name: down.page(name=name)):
            with denied(ErrorCode.UNSAFE_NAME):
                ask(name)


def test_nothing_else_can_be_asked(world: Sharer) -> None:
    conversation = world.enter(world.share()).conversation

    with denied(ErrorCode.NOT_ALLOWED):
        conversation.open("f", "x", size=1)
    with denied(ErrorCode.NOT_ALLOWED):
        conversation.ask(Verb.REMOVE, RemoveRequest(name="tree", recursive=True), RemoveAnswer)
    with denied(ErrorCode.NOT_ALLOWED):
        conversation.ask(
            Verb.CALL, CallRequest(call_id="0" * 32, command="send.getManifests"), DoneAnswer
        )
    with denied(ErrorCode.NOT_ALLOWED):
        finish = FinishRequest(file_id="f", size=0, sha256="0" * 64)
        conversation.ask(Verb.FINISH, finish, TransferAnswer)
    conversation.leave()


# Files that change


def test_a_file_that_was_changed(world: Sharer) -> None:
    down = world.enter(world.share())
    entry = down.stat("tree/a.txt").entry[0]
    (world.files / "a.txt").write_bytes(b"longer")

    with denied(ErrorCode.CHANGED, "tree/a.txt"):
        down.retrieve("tree/a.txt", version=entry.version)

    again = down.stat("tree/a.txt").entry[0]
    assert again.size == 6
    assert bytes(down.retrieve("tree/a.txt", version=again.version).payload) == b"longer"


def test_a_file_that_has_vanished_is_not_overlooked(world: Sharer) -> None:
    down = world.enter(world.share())
    (world.files / "a.txt").unlink()

    entry = next(entry for entry in down.entries() if entry.name == "tree/a.txt")
    assert (entry.size, entry.version) == (1, "")
    for version in ("", None):
        with denied(ErrorCode.NOT_FOUND, "not there any more"):
            down.retrieve("tree/a.txt", version=version)
    with denied(ErrorCode.NOT_FOUND):
        down.stat("tree/a.txt")


@pytest.mark.parametrize("kind", ["directory", "pipe"])
def test_something_else_in_its_place(world: Sharer, kind: str) -> None:
    down = world.enter(world.share())
    (world.files / "a.txt").unlink()
    if kind == "directory":
        (world.files / "a.txt").mkdir()
    else:
        os.mkfifo(world.files / "a.txt")

    for ask in (down.stat, down.retrieve):
        with denied(ErrorCode.WRONG_KIND, "no file any more"):
            ask("tree/a.txt")
    assert "tree/a.txt" in down.names()


def test_a_digest_at_once_and_later(world: Sharer) -> None:
    content = os.urandom(HASHED_AT_ONCE + 1)
    world.write({"large": content})
    down = world.enter(world.share())

    assert down.stat("tree/a.txt", digest=True).sha256 == sha256(b"a")
    first = down.stat("tree/large", digest=True)
    assert first.pending or first.sha256 == sha256(content)
    wait_until(lambda: not down.stat("tree/large", digest=True).pending)
    assert down.stat("tree/large", digest=True).sha256 == sha256(content)


# What may be read


def test_links_that_lead_out_of_the_sandbox(world: Sharer, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    world.control.sandboxes.set("ann", {"shared": str(world.files)})
    down = world.enter(world.share({"tree": "/shared"}))
    assert bytes(down.retrieve("tree/a.txt").payload) == b"a"
    (world.files / "a.txt").unlink()
    (world.files / "a.txt").symlink_to(tmp_path / "secret")

    entry = next(entry for entry in down.entries() if entry.name == "tree/a.txt")
    assert entry.version == ""
    for ask in (down.stat, down.retrieve):
        with denied(ErrorCode.DENIED, "'tree/a.txt' may not be read"):
            ask("tree/a.txt")


def test_a_link_that_is_put_there_after_the_look(world: Sharer, tmp_path: Path) -> None:
    """Whoever can change the files wins no race against the look at them."""
    (tmp_path / "secret").write_bytes(b"secret")
    token = world.share()
    guard = world.control.sandboxes.guard

    class Racing:
        def __init__(self, inner: object) -> None:
            self.inner = inner

        def check(self, path: str) -> None:
            self.inner.check(path)  # type: ignore[attr-defined]
            if path.endswith("a.txt") and not (world.files / "a.txt").is_symlink():
                (world.files / "a.txt").unlink()
                (world.files / "a.txt").symlink_to(tmp_path / "secret")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(world.control.sandboxes, "guard", lambda who: Racing(guard(who)))
        down = world.enter(token)
    with pytest.raises(RefusedError) as raised:
        down.retrieve("tree/a.txt")
    assert raised.value.means(ErrorCode.WRONG_KIND, ErrorCode.NOT_FOUND)


def test_a_link_to_a_file_is_followed_where_that_is_allowed(world: Sharer) -> None:
    (world.files / "link").symlink_to(world.files / "a.txt")
    down = world.enter(world.share())

    assert bytes(down.retrieve("tree/link").payload) == b"a"
    assert down.stat("tree/link", digest=True).sha256 == sha256(b"a")


def test_errors_tell_no_path(world: Sharer) -> None:
    down = world.enter(world.share())
    (world.files / "d").rename(world.files / "moved")

    with denied(ErrorCode.NOT_FOUND):
        down.retrieve("tree/d/b.bin")


# Tokens


def test_what_opens_nothing(world: Sharer) -> None:
    api = world.control.api_token("ann")
    token = world.share(password="open sesame")
    for wrong in (api, "x", token + "x", token):
        with denied(ErrorCode.DENIED):
            world.enter(wrong)
    with denied(ErrorCode.DENIED):
        world.enter(token, password="wrong")
    with denied(ErrorCode.DENIED):
        Conversation(world.desk).enter(
            Admission(
                admission_id="a", purpose=SessionPurpose.DOWNLOAD, user="ann", password="secret"
            )
        )
    assert world.count(token) == 0

    world.enter(token, password="open sesame").names()
    assert world.count(token) == 1


def test_a_download_is_counted_once(world: Sharer) -> None:
    token = world.share(downloadLimit=1)
    for _ in range(3):
        # Three sessions of the same download: it was interrupted twice.
        world.enter(token).names()
    assert world.count(token) == 1

    with denied(ErrorCode.DENIED):
        world.enter(token, admission_id="d2")
    with denied(ErrorCode.DENIED):
        # The id of somebody else's download is worth nothing.
        world.enter(token, MALLORY)
    world.stop()
    world.start()
    world.enter(token).names()
    assert world.count(token) == 1


def test_many_come_for_a_few_downloads(world: Sharer) -> None:
    token = world.share(downloadLimit=3)

    def come(number: int) -> bool:
        try:
            world.enter(token, admission_id=f"d{number % 10}")
        except RefusedError as error:
            return not error.means(ErrorCode.DENIED)
        return True

    with ThreadPoolExecutor(8) as pool:
        let_in = list(pool.map(come, range(40)))

    assert world.count(token) == 3
    # Each of the ten came four times; those that were let in once were let in each time.
    assert sum(let_in[number] for number in range(10)) <= 3
    assert sum(come(number) for number in range(10)) == 3


def test_a_session_outlives_its_token(world: Sharer) -> None:
    token = world.share()
    down = world.enter(token)
    world.control.call(world.login, "send.deleteSharedToken", token=token)

    assert "tree/a.txt" in down.names()
    with denied(ErrorCode.DENIED):
        world.enter(token)


def test_a_session_outlives_the_user_in_whose_name_it_is(world: Sharer) -> None:
    token = world.share()
    down = world.enter(token)
    world.control.users.remove("ann")
    world.clock.now += RECHECK_SECONDS

    assert bytes(down.retrieve("tree/a.txt").payload) == b"a"
    with denied(ErrorCode.DENIED):
        world.enter(token)


def test_another_sandbox_holds_for_downloads_under_way(world: Sharer, tmp_path: Path) -> None:
    down = world.enter(world.share())
    assert bytes(down.retrieve("tree/a.txt").payload) == b"a"
    world.control.sandboxes.set("ann", {"": str(tmp_path / "elsewhere")})
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.DENIED, "may not be read"):
        down.retrieve("tree/a.txt")
    world.control.sandboxes.set("ann", {"": str(world.files)})
    world.clock.now += RECHECK_SECONDS
    assert bytes(down.retrieve("tree/a.txt").payload) == b"a"


def test_a_deleted_token_does_not_open_more_than_before(world: Sharer) -> None:
    token = world.control.api_token(
        "ann", path=str(world.files / "d"), permissions=["download", "createLinks"]
    )
    maker = world.control.session(world.control.access.by_token(token, None, peer="peer"))
    owner, world.login = world.login, maker
    down = world.enter(world.share({"tree": "/"}))
    (world.files / "d" / "b.bin").unlink()
    (world.files / "d" / "b.bin").symlink_to(world.files / "a.txt")
    world.control.call(owner, "server.deleteAPIToken", token=token)
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.DENIED, "may not be read"):
        down.retrieve("tree/b.bin")
    assert bytes(down.retrieve("tree/e/c").payload) == b""


def test_the_same_handshake_again_counts_once(world: Sharer) -> None:
    token = world.share(downloadLimit=1)
    _, request = Conversation(world.desk, ALICE).knock(download(token))

    answers = {bytes(world.desk.admit(request, "client").payload) for _ in range(3)}

    assert len(answers) == 1
    assert world.count(token) == 1


# Any tree


class Everything:
    """Lets everything be read."""

    def check(self, path: str) -> None:
        """Say nothing."""


class Names:
    """A manifest without a database."""

    def __init__(self, names: list[str]) -> None:
        self.names = sorted(set(names))

    def file(self, manifest_id: int, dest: str) -> ManifestFile | None:
        if dest not in self.names:
            return None
        return ManifestFile(0, "/no/such/file", dest, 1, False, False, None)

    def children(
        self, manifest_id: int, prefix: str, after: str, limit: int
    ) -> list[ManifestChild]:
        start = f"{prefix}/" if prefix else ""
        found: dict[str, ManifestFile | None] = {}
        for name in self.names:
            if name.startswith(start):
                first, _, rest = name[len(start) :].partition("/")
                found[first] = None if rest else self.file(manifest_id, name)
        return [ManifestChild(name, found[name]) for name in sorted(found) if name > after][:limit]


_PARTS = st.lists(st.sampled_from(["a", "b", "a-", "a.", "c"]), min_size=1, max_size=4)


@given(
    paths=st.lists(_PARTS.map(tuple), max_size=12),
    limit=st.integers(1, 5),
    recursive=st.booleans(),
)
def test_lists_are_those_of_the_tree(
    paths: list[tuple[str, ...]], limit: int, recursive: bool
) -> None:
    inner = {path[:depth] for path in paths for depth in range(1, len(path))}
    leaves = {path for path in paths if path not in inner}
    everything = sorted(leaves | inner)
    expected = ["/".join(path) for path in everything if recursive or len(path) == 1]
    names = Names(["/".join(path) for path in leaves])
    store = ManifestStore(1, names, SourceFiles(), Everything())

    found: list[str] = []
    after: str | None = ""
    while after is not None:
        page = store.page(ListRequest(recursive=recursive, after=after, limit=limit))
        assert len(page.entries) <= limit
        found += [entry.name for entry in page.entries]
        after = page.next

    assert found == expected
