"""Transfers store files: whose, where, and nothing else."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pytest_mock import MockerFixture
from sqlalchemy.exc import OperationalError

from dxlfiletransferclient.control import constants
from dxlfiletransferclient.digests import short_digest
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    DoneAnswer,
    ListAnswer,
    ListRequest,
    RemoveAnswer,
    RemoveRequest,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
    StatusRequest,
    TransferAnswer,
    TransferState,
)
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.protocol.sessions import Outcome
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.storage import partfile
from dxlfiletransferclient.storage.journal import Segment
from dxlfiletransferservice.admission.placing import FileIds, secret_of
from dxlfiletransferservice.admission.standing import RECHECK_SECONDS
from dxlfiletransferservice.control.principals import Principal
from tests.unit.client.cataloguing import directory, file, link
from tests.unit.service.admitting import (
    ALICE,
    BOB,
    MALLORY,
    Conversation,
    Receiver,
    denied,
    receiver,
    transfer,
)

READ_ONLY = constants.TRANSFER_FLAG_READ


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Receiver]:
    with receiver(tmp_path) as made:
        yield made


def code_of(peer: Conversation, name: str) -> ErrorCode | None:
    """Return what a file in a batch is refused with."""
    (result,) = peer.put(file(name, b"x"))
    return None if result.code is None else ErrorCode.of(result.code)


def test_files_in_parts_and_in_batches(world: Receiver) -> None:
    peer = world.peer().enter(transfer(destination_path="/in/coming/"))

    assert peer.send("f", "d/a.bin", b"abc").state is TransferState.STORED
    results = peer.put(file("b", b"b"), directory("empty"), file("d/c", b""))

    assert {result.state for result in results} == {TransferState.STORED}
    assert world.stored() == {
        "in/coming/d/a.bin": b"abc",
        "in/coming/b": b"b",
        "in/coming/d/c": b"",
    }
    assert (world.storage / "in" / "coming" / "empty").is_dir()


def test_a_file_that_is_gone_on_with_in_another_session(world: Receiver) -> None:
    peer = world.peer().enter(transfer())
    peer.open("f", "a", size=6)
    peer.write("f", b"abc")
    world.stop()
    world.start()

    # Without opening it again, as a request that was under way when the session was lost.
    peer = world.peer().enter(transfer())
    peer.write("f", b"def", 3)

    assert peer.finish("f", b"abcdef").state is TransferState.STORED
    assert world.stored() == {"a": b"abcdef"}


@pytest.mark.parametrize("cipher", [Cipher.NONE, Cipher.AES_128])
def test_the_digest_that_a_segment_was_checked_with_is_recorded(
    world: Receiver, mocker: MockerFixture, cipher: Cipher
) -> None:
    computed = mocker.spy(partfile, "short_digest")
    write = mocker.spy(partfile.PartFile, "write")
    peer = world.peer().enter(transfer(cipher=cipher))
    assert peer.send("f", "a", b"abc").state is TransferState.STORED
    assert computed.call_count == 0
    assert write.spy_return == Segment(0, 3, short_digest(b"abc"))


def test_a_file_that_is_dropped(world: Receiver) -> None:
    peer = world.peer().enter(transfer())
    peer.open("f", "a", size=6)

    peer.ask(Verb.ABORT, AbortRequest(file_id="f"), DoneAnswer)

    with denied(ErrorCode.UNKNOWN_TRANSFER):
        peer.ask(Verb.STATUS, StatusRequest(file_id="f"), TransferAnswer)


# Who else


@pytest.mark.parametrize(
    ("key", "transfer_id", "user"),
    [(MALLORY, "17", None), (ALICE, "18", None), (ALICE, "17", "ann")],
)
def test_nobody_touches_the_files_of_another_transfer(
    world: Receiver, key: object, transfer_id: str, user: str | None
) -> None:
    mine = world.peer().enter(transfer("17"))
    mine.open("f", "a", size=3)
    mine.write("f", b"a")

    other = world.peer(key).enter(  # type: ignore[arg-type]
        transfer(transfer_id, user=user, password="secret" if user else None)
    )
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        other.write("f", b"x")
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        other.finish("f", b"x")
    other.ask(Verb.ABORT, AbortRequest(file_id="f"), DoneAnswer)
    # The same id and the same name, and yet another file.
    assert other.open("f", "a", size=3).held == ()

    assert mine.open("f", "a", size=3).held == ((0, 1),)
    mine.write("f", b"bc", 1)
    assert mine.finish("f", b"abc").state is TransferState.STORED


def test_plain_requests_do_not_reach_them(world: Receiver) -> None:
    peer = world.peer().enter(transfer())
    peer.open("f", "a", size=3)

    with denied(ErrorCode.UNKNOWN_TRANSFER):
        world.store.status(StatusRequest(file_id="f"))


@given(
    one=st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)),
    other=st.tuples(st.text(max_size=5), st.text(max_size=5), st.text(max_size=5)),
)
def test_ids_are_different_unless_all_is_the_same(
    one: tuple[str, str, str], other: tuple[str, str, str]
) -> None:
    secret = secret_of(BOB)
    made = [FileIds(secret, *each)("f") for each in (one, other)]

    assert (made[0] == made[1]) == (one == other)
    assert FileIds(secret_of(ALICE), *one)("f") != made[0]
    assert all(len(each) == 64 and each.isalnum() for each in made)


@pytest.mark.parametrize(
    ("verb", "request_message", "kind"),
    [
        (Verb.RETRIEVE, RetrieveRequest(name="old", offset=0, length=1), RetrieveAnswer),
        (Verb.LIST, ListRequest(), ListAnswer),
        (Verb.STAT, StatRequest(name="old"), StatAnswer),
        (Verb.REMOVE, RemoveRequest(name="old"), RemoveAnswer),
    ],
)
def test_a_transfer_only_brings(
    world: Receiver, verb: Verb, request_message: object, kind: type
) -> None:
    (world.storage / "old").write_bytes(b"old")
    peer = world.peer().enter(transfer())

    with denied(ErrorCode.NOT_ALLOWED, str(verb)):
        peer.ask(verb, request_message, kind)  # type: ignore[arg-type]

    assert world.stored() == {"old": b"old"}


# Names

ESCAPES = [
    "..",
    "../x",
    "a/../../x",
    "/etc/passwd",
    "./../x",
    "d/../../../x",
    "C:/x",
    "\\\\server\\x",
    "a\0b",
    "x/../../in2/y",
    "a" * 300,
    "a/" * 3000 + "a",
    "",
    ".",
    "a/..",
]


@pytest.mark.parametrize("path", ["", "in"])
def test_names_that_try_to_escape(world: Receiver, path: str) -> None:
    peer = world.peer().enter(transfer(destination_path=path))

    for name in ESCAPES:
        assert code_of(peer, name) in (ErrorCode.UNSAFE_NAME, ErrorCode.WRONG_KIND), name
        with denied(ErrorCode.UNSAFE_NAME):
            peer.open("f", name, size=1)
    assert world.stored() == {}


def test_the_working_directory_is_out_of_reach(world: Receiver) -> None:
    peer = world.peer().enter(transfer())

    for name in (".workdir/x", "a/../.workdir/x", ".workdir"):
        assert code_of(peer, name) is ErrorCode.UNSAFE_NAME


@pytest.mark.parametrize("path", ["..", "a/../..", "/../x", ".workdir", "a\0", "x" * 300])
def test_destination_paths_that_try_to_escape(world: Receiver, path: str) -> None:
    with denied(ErrorCode.UNSAFE_NAME):
        world.peer().enter(transfer(destination_path=path)).open("f", "a", size=1)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    name=st.lists(st.sampled_from(["a", "..", ".", "", "name", "/", " "]), max_size=8).map("/".join)
)
def test_nothing_lands_outside(world: Receiver, name: str) -> None:
    peer = world.peer().enter(transfer(destination_path="in"))
    before = set((world.directory / "home").rglob("*"))
    peer.put(file(name, b"x"))
    peer.put(directory(name))

    inside = world.storage / "in"
    made = set((world.directory / "home").rglob("*")) - before
    assert all(path == inside or path.is_relative_to(inside) for path in made)


def test_links_on_the_way_are_not_followed(world: Receiver, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (world.storage / "way").symlink_to(tmp_path / "outside")
    peer = world.peer().enter(transfer())

    assert code_of(peer, "way/x") is ErrorCode.WRONG_KIND
    assert list((tmp_path / "outside").iterdir()) == []


def test_no_links_are_made(world: Receiver) -> None:
    (result,) = world.peer().enter(transfer()).put(link("a", "/etc/passwd"))

    assert result.code == ErrorCode.NOT_ALLOWED
    assert not (world.storage / "a").is_symlink()


# Who is let in


@pytest.mark.parametrize("required", [False, True])
def test_nobody_in_particular(tmp_path: Path, required: bool) -> None:
    with receiver(tmp_path, required=required) as world:
        if required:
            with denied(ErrorCode.DENIED, "user and password"):
                world.peer().enter(transfer())
            world.peer().enter(transfer(user="ann", password="secret"))
        else:
            world.peer().enter(transfer())


@pytest.mark.parametrize(
    ("values", "code"),
    [
        ({"user": "ann", "password": "wrong"}, ErrorCode.DENIED),
        ({"user": "nobody", "password": "secret"}, ErrorCode.DENIED),
        ({"user": "ann"}, ErrorCode.DENIED),
        ({"token": "1.wrong"}, ErrorCode.DENIED),
        ({"token": "x", "user": "ann", "password": "secret"}, ErrorCode.INVALID),
        ({"password": "secret"}, ErrorCode.INVALID),
    ],
)
def test_wrong_credentials(world: Receiver, values: dict[str, str], code: ErrorCode) -> None:
    with denied(code):
        world.peer().enter(transfer(**values))  # type: ignore[arg-type]

    assert world.receptions.transfers() == []


def test_wrong_passwords_are_slowed_down(world: Receiver) -> None:
    peer = world.peer()
    for _ in range(20):
        with denied(ErrorCode.DENIED):
            peer.enter(transfer(user="ann", password="wrong"))

    with denied(ErrorCode.DENIED, "too many"):
        peer.enter(transfer(user="ann", password="secret"))


def test_tokens_and_what_they_permit(world: Receiver) -> None:
    upload = world.control.api_token("ann", permissions=["upload"])
    other = world.control.api_token("ann", permissions=["download", "delete"])
    shared = world.control.shared_token("ann")

    assert code_of(world.peer().enter(transfer(token=upload)), "a") is None
    with denied(ErrorCode.DENIED, "upload"):
        world.peer().enter(transfer(token=other))
    with denied(ErrorCode.DENIED, "shared"):
        world.peer().enter(transfer(token=shared))


def test_a_token_that_is_confined(world: Receiver) -> None:
    token = world.control.api_token("ann", path="/reports/2024")
    peer = world.peer().enter(transfer(token=token, destination_path="/q1"))

    peer.put(file("a", b"x"))
    assert code_of(peer, "../../../b") is ErrorCode.UNSAFE_NAME

    assert world.stored() == {"reports/2024/q1/a": b"x"}


def test_only_listed_senders(world: Receiver) -> None:
    world.senders.restricted = True
    world.senders.listed = {ALICE.public}

    peer = world.peer().enter(transfer())
    with denied(ErrorCode.UNKNOWN_SENDER, MALLORY.public):
        # Right credentials or wrong ones: they are not looked at.
        world.peer(MALLORY).enter(transfer(user="ann", password="wrong"))

    assert code_of(peer, "a") is None
    world.senders.listed = set()
    with denied(ErrorCode.UNKNOWN_SENDER):
        peer.put(file("b", b"x"))
    assert world.stored() == {"a": b"x"}


def test_nothing_is_said_of_the_transfer(world: Receiver) -> None:
    with denied(ErrorCode.INVALID):
        world.peer().enter(Admission(admission_id="a", purpose=SessionPurpose.TRANSFER))


# Who loses what he was let in for


def remove_user(world: Receiver, token: str) -> None:
    world.control.users.remove("ann")


def delete_token(world: Receiver, token: str) -> None:
    owner = world.control.session(Principal("ann"))
    world.control.call(owner, "server.deleteAPIToken", token=token)


def let_token_expire(world: Receiver, token: str) -> None:
    world.control.clock.advance(3600)


@pytest.mark.parametrize(
    ("lose", "by_token"),
    [(remove_user, False), (remove_user, True), (delete_token, True), (let_token_expire, True)],
)
def test_who_is_gone_stores_nothing_more(
    world: Receiver, lose: Callable[[Receiver, str], None], by_token: bool
) -> None:
    token = world.control.api_token("ann", timeLimitSeconds=3600)
    shown = {"token": token} if by_token else {"user": "ann", "password": "secret"}
    peer = world.peer().enter(transfer(**shown))  # type: ignore[arg-type]
    other = world.peer().enter(transfer("18"))
    peer.open("f", "a", size=1)
    lose(world, token)
    world.clock.now += RECHECK_SECONDS

    for _ in range(2):
        with denied(ErrorCode.DENIED, "does not exist any more"):
            peer.write("f", b"x")
        with denied(ErrorCode.DENIED):
            peer.put(file("b", b"x"))
    assert code_of(other, "c") is None
    assert world.stored() == {"c": b"x"}
    peer.leave(Outcome.ERROR)


def change_password(world: Receiver) -> None:
    world.control.users.set_password("ann", "another")


def another_of_that_name(world: Receiver) -> None:
    world.control.users.remove("ann")
    world.control.users.add("ann", "another")


@pytest.mark.parametrize("change", [change_password, another_of_that_name])
def test_who_has_another_password_shows_it(
    world: Receiver, change: Callable[[Receiver], None]
) -> None:
    peer = world.peer().enter(transfer(user="ann", password="secret"))
    assert code_of(peer, "a") is None
    change(world)
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.UNKNOWN_SESSION):
        peer.put(file("b", b"x"))
    with denied(ErrorCode.DENIED):
        world.peer().enter(transfer(user="ann", password="secret"))
    again = world.peer().enter(transfer(user="ann", password="another"))
    assert code_of(again, "c") is None
    assert world.stored() == {"a": b"x", "c": b"x"}


def test_a_password_that_changes_while_it_is_compared(
    world: Receiver, mocker: MockerFixture
) -> None:
    verify = world.control.passwords.verify

    def slowly(kept: str | None, password: str) -> bool:
        right = verify(kept, password)
        mocker.stopall()
        world.control.users.set_password("ann", "another")
        return right

    mocker.patch.object(world.control.passwords, "verify", slowly)
    peer = world.peer().enter(transfer(user="ann", password="secret"))
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.UNKNOWN_SESSION):
        peer.put(file("a", b"x"))


@pytest.mark.parametrize(
    ("user", "whose"), [("ann", "ann"), ("ann", ""), (None, "")], ids=["own", "everybody", "nobody"]
)
def test_another_sandbox_holds_for_sessions_that_there_are(
    world: Receiver, tmp_path: Path, user: str | None, whose: str
) -> None:
    shown = {"user": user, "password": "secret"} if user else {}
    peer = world.peer().enter(transfer(**shown))  # type: ignore[arg-type]
    assert code_of(peer, "a") is None
    world.control.sandboxes.set(whose, {"": str(tmp_path / "confined")})
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.UNKNOWN_SESSION):
        peer.put(file("b", b"x"))
    again = world.peer().enter(transfer(**shown))  # type: ignore[arg-type]
    assert code_of(again, "c") is None
    assert world.stored() == {"a": b"x"}
    assert world.stored(tmp_path / "confined") == {"c": b"x"}


def test_nobody_is_asked_for_again_who_is_as_he_was(world: Receiver, mocker: MockerFixture) -> None:
    world.control.sandboxes.set("ann", {"": str(world.directory / "ann")})
    by_password = world.peer().enter(transfer("1", user="ann", password="secret"))
    by_token = world.peer().enter(transfer("2", token=world.control.api_token("ann")))
    looked = mocker.spy(world.control.access, "standing")
    for number in range(12):
        assert code_of(by_password, f"p{number}") is None
        assert code_of(by_token, f"t{number}") is None
        world.clock.now += 1

    # Twelve seconds: looked at twice in each session.
    assert looked.call_count == 4


def test_while_the_database_is_away_sessions_wait(world: Receiver, mocker: MockerFixture) -> None:
    peer = world.peer().enter(transfer(user="ann", password="secret"))
    away = OperationalError("select", {}, OSError("gone"))
    broken = mocker.patch.object(world.control.access, "standing", side_effect=away)
    world.clock.now += RECHECK_SECONDS

    with denied(ErrorCode.BUSY):
        peer.put(file("a", b"x"))
    with denied(ErrorCode.BUSY):
        world.peer().enter(transfer(user="ann", password="secret"))
    mocker.stop(broken)
    assert code_of(peer, "a") is None


# Sandboxes


def test_users_are_confined(world: Receiver, tmp_path: Path) -> None:
    world.control.sandboxes.set("ann", {"": str(tmp_path / "ann")})
    ann = world.peer().enter(transfer("1", user="ann", password="secret"))
    bob = world.peer().enter(transfer("2", user="bob", password="secret"))

    ann.send("f", "d/a", b"ann's")
    bob.put(file("d/a", b"bob's"))

    assert world.stored(tmp_path / "ann") == {"d/a": b"ann's"}
    assert world.stored() == {"d/a": b"bob's"}


def test_a_sandbox_with_names(world: Receiver, tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    mapping = {"first": str(tmp_path / "one"), "second": str(tmp_path / "two")}
    world.control.sandboxes.set("ann", mapping)
    peer = world.peer().enter(transfer(user="ann", password="secret"))

    peer.send("f", "first/a", b"1")
    results = peer.put(
        file("second/b", b"2"), file("third/c", b"3"), file("first/d", b"4"), file("first", b"5")
    )

    assert [result.code for result in results] == [
        None,
        ErrorCode.NOT_ALLOWED,
        None,
        ErrorCode.WRONG_KIND,
    ]
    assert "'first', 'second'" in (results[1].text or "")
    assert world.stored(tmp_path / "one") == {"a": b"1", "d": b"4"}
    assert world.stored(tmp_path / "two") == {"b": b"2"}
    assert world.stored() == {}


def test_a_destination_path_that_begins_with_a_name(world: Receiver, tmp_path: Path) -> None:
    world.control.sandboxes.set("ann", {"first": str(tmp_path / "one")})
    peer = world.peer().enter(
        transfer(user="ann", password="secret", destination_path="/first/2024")
    )

    peer.put(file("a", b"1"))

    assert world.stored(tmp_path / "one") == {"2024/a": b"1"}


def test_files_under_way_in_several_stores_are_found_after_a_restart(
    world: Receiver, tmp_path: Path
) -> None:
    mapping = {name: str(tmp_path / name) for name in ("one", "two")}
    world.control.sandboxes.set("ann", mapping)
    login = {"user": "ann", "password": "secret"}
    peer = world.peer().enter(transfer(**login))  # type: ignore[arg-type]
    peer.open("f", "two/a", size=2)
    peer.write("f", b"x")
    peer.open("g", "two/b", size=2)
    world.stop()
    world.start()

    peer = world.peer().enter(transfer(**login))  # type: ignore[arg-type]
    peer.write("f", b"y", 1)
    assert peer.finish("f", b"xy").state is TransferState.STORED
    peer.ask(Verb.ABORT, AbortRequest(file_id="g"), DoneAnswer)
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        peer.ask(Verb.STATUS, StatusRequest(file_id="g"), TransferAnswer)
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        peer.write("h", b"x")

    assert world.stored(tmp_path / "two") == {"a": b"xy"}


def test_a_sandbox_that_cannot_be_used(world: Receiver, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    world.control.sandboxes.set("ann", {"": str(tmp_path / "file")})
    peer = world.peer().enter(transfer(user="ann", password="secret"))

    with denied(ErrorCode.STORAGE_FAILED, "confined"):
        peer.open("f", "a", size=1)
    assert code_of(peer, "a") is ErrorCode.STORAGE_FAILED


def test_a_sandbox_of_the_server_itself(world: Receiver, tmp_path: Path) -> None:
    world.control.sandboxes.set("ann", {"": str(tmp_path)})

    with denied(ErrorCode.DENIED):
        world.peer().enter(transfer(user="ann", password="secret"))


# Overwriting


@pytest.mark.parametrize(
    ("mode", "old", "new", "left", "state"),
    [
        (constants.OVERWRITE_ALWAYS, b"old", b"newer", b"newer", TransferState.STORED),
        (constants.OVERWRITE_IN_PLACE_ALWAYS, b"old", b"newer", b"newer", TransferState.STORED),
        (constants.OVERWRITE_NEVER, b"old", b"newer", b"old", TransferState.KEPT),
        (constants.OVERWRITE_IN_PLACE_NEVER, b"old", b"newer", b"old", TransferState.KEPT),
        (constants.OVERWRITE_IN_PLACE_SAME_SIZE, b"old", b"new", b"new", TransferState.STORED),
        (constants.OVERWRITE_IN_PLACE_SAME_SIZE, b"", b"newer", b"newer", TransferState.STORED),
        (constants.OVERWRITE_IN_PLACE_SAME_SIZE, b"old", b"newer", b"old", None),
        (constants.OVERWRITE_WITH_BACKUP, b"old", b"newer", b"newer", TransferState.STORED),
    ],
)
def test_overwrite_modes(
    world: Receiver, mode: int, old: bytes, new: bytes, left: bytes, state: TransferState | None
) -> None:
    for name in ("a", "b"):
        (world.storage / name).write_bytes(old)
    peer = world.peer().enter(transfer(overwrite_mode=mode))

    (result,) = peer.put(file("a", new))
    assert result.state is state
    if state is None:
        assert result.code == ErrorCode.EXISTS
        with denied(ErrorCode.EXISTS):
            peer.open("f", "b", size=len(new))
    elif state is TransferState.KEPT:
        assert peer.open("f", "b", size=len(new)).state is state
    else:
        assert peer.send("f", "b", new).state is state

    expected = {"a": left, "b": left}
    if mode == constants.OVERWRITE_WITH_BACKUP:
        expected |= {"a.jetbak": old, "b.jetbak": old}
    assert world.stored() == expected


def test_times_are_set_if_that_is_wanted(world: Receiver) -> None:
    flags = constants.DEFAULT_TRANSFER_FLAGS
    world.peer().enter(transfer("1", flags=flags)).put(file("a", b"", modified_ns=10**18))
    without = flags & ~constants.TRANSFER_FLAG_WRITE_MTIME
    world.peer().enter(transfer("2", flags=without)).put(file("b", b"", modified_ns=10**18))

    assert (world.storage / "a").stat().st_mtime_ns == 10**18
    assert (world.storage / "b").stat().st_mtime_ns > 10**18


@pytest.mark.parametrize(
    ("resolution_us", "state"),
    [(0, TransferState.STORED), (2_000_000, TransferState.KEPT)],
)
def test_only_newer_files(world: Receiver, resolution_us: int, state: TransferState) -> None:
    flags = constants.DEFAULT_TRANSFER_FLAGS
    world.peer().enter(transfer("1", flags=flags)).put(file("a", b"1", modified_ns=10**18))
    newer = flags | constants.TRANSFER_FLAG_WRITE_ONLY_NEWER
    peer = world.peer().enter(transfer("2", flags=newer, time_resolution_us=resolution_us))

    (same,) = peer.put(file("a", b"2", modified_ns=10**18))
    (later,) = peer.put(file("a", b"3", modified_ns=10**18 + 10**9))

    assert (same.state, later.state) == (TransferState.KEPT, state)


@pytest.mark.parametrize(
    "note",
    [{"overwrite_mode": 6}, {"flags": 16}, {"time_resolution_us": 10**15}],
)
def test_what_nobody_knows(world: Receiver, note: dict[str, int]) -> None:
    with denied(ErrorCode.INVALID):
        world.peer().enter(transfer(**note))  # type: ignore[arg-type]


def test_nothing_is_written_where_that_is_not_wanted(world: Receiver) -> None:
    peer = world.peer().enter(transfer(flags=READ_ONLY))

    assert peer.send("f", "a", b"abc").state is TransferState.STORED
    assert code_of(peer, "b") is None
    assert code_of(peer, "../c") is ErrorCode.UNSAFE_NAME

    assert world.stored() == {}
    peer.leave()
    (row,) = world.receptions.transfers()
    assert (row["status"], row["bytesReceived"]) == ("complete", 5)


# Receptions


def test_receptions_follow(world: Receiver) -> None:
    peer = world.peer().enter(
        transfer("17", user="ann", password="secret", destination_path="in", total_size=5)
    )
    peer.send("f", "a", b"abc")
    peer.put(file("b", b"xy"), file("../c", b""))
    (row,) = world.receptions.transfers()
    assert row["status"] == "receiving"
    assert row["bytesReceived"] == 5
    assert (row["transferId"], row["userName"], row["totalSize"]) == ("17", "ann", 5)
    assert (row["sourcePublicKey"], row["destinationPath"]) == (ALICE.public, "in")

    peer.leave(Outcome.COMPLETE)

    assert [name for name, _ in world.told] == ["started", "ended"]
    assert world.told[1][1]["status"] == "complete"
    assert world.told[1][1]["bytesReceived"] == 5


def test_a_refused_request_is_an_interruption(world: Receiver) -> None:
    peer = world.peer().enter(transfer())
    with denied(ErrorCode.UNKNOWN_TRANSFER):
        peer.write("f", b"x")

    (row,) = world.receptions.transfers()
    assert row["lastErrorTime"] is not None
    assert row["status"] == "receiving"


def test_no_store_stays_open_when_nobody_is_let_in(world: Receiver, tmp_path: Path) -> None:
    world.control.sandboxes.set("ann", {"": str(tmp_path / "ann")})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            world.receptions, "begin", lambda _: (_ for _ in ()).throw(RuntimeError("broken"))
        )
        with denied(ErrorCode.INTERNAL):
            world.peer().enter(transfer(user="ann", password="secret"))

    assert not world.sandbox_stores._opened
