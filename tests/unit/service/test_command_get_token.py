"""``dxlft get --token`` against real tokens, manifests and sessions, in virtual time."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from pytest_mock import MockerFixture
from typer.testing import Result

from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import SessionPurpose
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.sharedfiles import identity_of
from dxlfiletransferservice.control.identity.wronglogins import WRONG_TOKEN
from tests.unit.client.scriptedbus import Asked, ScriptedBus
from tests.unit.service.admitting import BOB, MALLORY, RecordingPurpose
from tests.unit.service.downloading import Sharer, sharer
from tests.unit.service.dxlft import run_dxlft

SEGMENT = 1000
TREE = {"a.txt": b"a", "d/large": bytes(range(256)) * 40, "d/e/c": b""}


class World:
    """A server that shares files, on a fabric, and whoever gets them."""

    def __init__(self, shared: Sharer, target: Path) -> None:
        self.shared = shared
        self.target = target
        self.bus = ScriptedBus()
        self.serve("{one}", BOB, "files")

    def serve(
        self, service_id: str, key: PrivateKey, name: str, desk: AdmissionDesk | None = None
    ) -> None:
        """Register a server under a store id that is its name."""

        def answer(asked: Asked) -> Parcel | RefusedError:
            found = self.shared.desk if desk is None else desk
            call = found.admit if asked.verb == Verb.ADMIT else found.sealed
            try:
                return call(asked.parcel, "{peer}")
            except RefusedError as error:
                return error

        def hello(_: Asked) -> Parcel:
            return encode(
                HelloAnswer(
                    revision=0,
                    store_id=name,
                    segment_size=SEGMENT,
                    window=100_000,
                    verbs="admit hello sealed",
                    public_key=key.public,
                    server_uid=f"uid of {name}",
                    server_name=name,
                )
            )

        instance = self.bus.serve(service_id, name)
        instance.answer, instance.hello = answer, hello

    def get(
        self, token: str, *arguments: str | Path, **more: str | dict[str, str | None]
    ) -> Result:
        line = ["get", "--token", token, "-o", self.target, *arguments, "--config", "c"]
        return run_dxlft([str(each) for each in line], **more)

    def got(self) -> dict[str, bytes]:
        """What is in the target; there is nothing else, as parts of files."""
        return {
            path.relative_to(self.target).as_posix(): path.read_bytes()
            for path in sorted(self.target.rglob("*"))
            if path.is_file()
        }


@pytest.fixture
def world(tmp_path: Path, mocker: MockerFixture) -> Iterator[World]:
    with sharer(tmp_path) as shared:
        shared.write(TREE)
        target = tmp_path / "copies"
        target.mkdir()
        made = World(shared, target)

        @contextmanager
        def bus(*_: object) -> Iterator[ScriptedBus]:
            yield made.bus

        mocker.patch("dxlfiletransferservice.command.get.connected_bus", side_effect=bus)
        yield made


def test_everything_that_a_token_opens(world: World) -> None:
    token = world.shared.share()
    result = world.get(token)
    assert result.exit_code == 0, result.stderr
    assert world.got() == {f"tree/{name}": content for name, content in TREE.items()}
    assert result.stdout.startswith("3 files, 10,241 bytes, ")
    assert world.shared.count(token) == 1
    sessions = world.shared.desk._sessions._sessions.values()
    assert [each.left for each in sessions] == [True, True]


def test_the_same_command_counts_once(world: World) -> None:
    token = world.shared.share(downloadLimit=1)
    for _ in range(3):
        assert world.get(token).exit_code == 0
    assert world.shared.count(token) == 1


def test_another_place_or_choice_counts_again(world: World, tmp_path: Path) -> None:
    token = world.shared.share()
    world.get(token)
    world.get(token, "tree/a.txt")
    world.target = tmp_path / "others"
    world.target.mkdir()
    world.get(token)
    assert world.shared.count(token) == 3


def test_limit_that_is_reached(world: World, tmp_path: Path) -> None:
    token = world.shared.share(downloadLimit=1)
    world.get(token)
    world.target = tmp_path / "others"
    result = world.get(token)
    assert result.exit_code == ExitCode.FAILURE
    assert result.stderr.startswith("dxlft: this token cannot be used any more")


def test_interruption(world: World) -> None:
    """What was received stays, the same command goes on with it, and that is one download."""
    token = world.shared.share({"large": str(world.shared.files / "d" / "large")}, downloadLimit=1)
    served = world.bus.instances["{one}"]
    answer, count = served.answer, 0

    def fail_later(asked: Asked) -> Parcel | RefusedError | None:
        nonlocal count
        count += 1
        if count > 12:
            world.bus.instances.clear()
            return None
        return answer(asked)

    served.answer = fail_later
    assert world.get(token, "large", "--patience", "20").exit_code == ExitCode.FAILURE
    served.answer = answer
    world.bus.instances["{two}"] = served
    result = world.get(token, "large")
    assert result.exit_code == 0, result.stderr
    assert world.got() == {"large": TREE["d/large"]}
    assert world.shared.count(token) == 1


def test_server_that_is_restarted_in_the_middle(world: World) -> None:
    token = world.shared.share(downloadLimit=1)
    served = world.bus.instances["{one}"]
    answer, count = served.answer, 0

    def restart_later(asked: Asked) -> Parcel | RefusedError | None:
        nonlocal count
        count += 1
        if count == 12:
            world.shared.stop()
            world.shared.start()
        return answer(asked)

    served.answer = restart_later
    result = world.get(token)
    assert result.exit_code == 0, result.stderr
    assert len(world.got()) == len(TREE)
    assert world.shared.count(token) == 1


def test_names_that_are_not_there(world: World) -> None:
    token = world.shared.share()
    result = world.get(token, "tree/a.txt", "tree/none")
    assert result.exit_code == ExitCode.FAILURE
    assert world.got() == {"a.txt": b"a"}
    assert "dxlft: tree/none: there is nothing named 'tree/none'" in result.stderr


def test_password_of_the_environment(world: World) -> None:
    token = world.shared.share(password="hidden")
    result = world.get(token, env={"DXLFT_TOKEN_PASSWORD": "hidden"})
    assert result.exit_code == 0, result.stderr
    wrong = world.get(token, env={"DXLFT_TOKEN_PASSWORD": "other"})
    assert wrong.stderr == f"dxlft: {WRONG_TOKEN}\n"


def test_password_that_is_typed(world: World, mocker: MockerFixture) -> None:
    token = world.shared.share(password="hidden")
    mocker.patch("getpass.getpass", return_value="hidden")
    assert world.get(token, env={"DXLFT_TOKEN_PASSWORD": None}).exit_code == 0


def test_password_is_not_asked_for_in_vain(world: World, mocker: MockerFixture) -> None:
    ask = mocker.patch("getpass.getpass")
    assert world.get(world.shared.share()).exit_code == 0
    assert world.get("1-000000000000.bogus").exit_code == ExitCode.FAILURE
    ask.assert_not_called()


def test_token_of_standard_input(world: World) -> None:
    token = world.shared.share()
    assert world.get("-", input=f"{token}\n").exit_code == 0
    assert world.got()


def test_standard_output(world: World) -> None:
    token = world.shared.share()
    world.target = Path("-")
    result = world.get(token, "tree/d/large")
    assert result.stdout_bytes == TREE["d/large"]


@pytest.mark.parametrize("first", [True, False])
def test_several_servers(world: World, first: bool) -> None:
    """Each is asked until one knows the token, and no file comes from another one."""
    purpose = RecordingPurpose(RefusedError(ErrorCode.DENIED, WRONG_TOKEN))
    other = AdmissionDesk(MALLORY, {SessionPurpose.DOWNLOAD: purpose})
    world.serve("{0}" if first else "{z}", MALLORY, "other", other)
    token = world.shared.share(downloadLimit=1)
    assert world.get(token).exit_code == 0
    assert len(world.got()) == len(TREE)
    assert purpose.asked == (1 if first else 0)
    used_up = world.get(token, "tree/a.txt")
    assert used_up.stderr.startswith("dxlft: this token cannot be used any more")


@pytest.mark.parametrize("named", ["files", "uid of files", BOB.public])
def test_server_that_is_named(world: World, named: str) -> None:
    purpose = RecordingPurpose(RefusedError(ErrorCode.DENIED, WRONG_TOKEN))
    other = AdmissionDesk(MALLORY, {SessionPurpose.DOWNLOAD: purpose})
    world.serve("{0}", MALLORY, "other", other)
    assert world.get(world.shared.share(), "--server", named).exit_code == 0
    assert purpose.asked == 0


def test_impostor_learns_nothing(world: World) -> None:
    """Who says that he has another one's key cannot read what is said to that one."""
    purpose = RecordingPurpose()
    impostor = AdmissionDesk(MALLORY, {SessionPurpose.DOWNLOAD: purpose})
    world.bus.instances.clear()
    world.serve("{0}", BOB, "files", impostor)
    result = world.get(world.shared.share(), "--server", BOB.public, "--patience", "20")
    assert result.exit_code == ExitCode.FAILURE
    assert purpose.asked == 0


def test_no_server_by_that_name(world: World) -> None:
    result = world.get(world.shared.share(), "--server", "nobody")
    assert "no transfer server on this fabric has the name, uid or public key 'nobody'" in (
        result.stderr
    )


def test_no_server_that_opens_tokens(world: World) -> None:
    world.bus.instances.clear()
    world.bus.serve("{old}")
    result = world.get("1-000000000000.bogus")
    assert result.stderr.startswith("dxlft: no service on this fabric opens tokens")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--token", "abc"], "the token is not whole"),
        (["--token", "1-0a.b", "-o", "-"], "takes one file alone"),
        (["a", "--server", "x"], "--server is for a --token"),
    ],
)
def test_usage(arguments: list[str], words: str) -> None:
    result = run_dxlft(["get", *arguments, "--config", "c"])
    assert result.exit_code == ExitCode.USAGE
    assert words in result.stderr


def test_no_line_has_the_token(world: World) -> None:
    token = world.shared.share(password="hidden")
    result = world.get(token, "--verbose", env={"DXLFT_TOKEN_PASSWORD": "wrong one"})
    secret = token.partition(".")[2]
    for text in (secret, "wrong one"):
        assert text not in result.stderr


def test_identity_of_a_download() -> None:
    own, number = identity_of("1-0a.secret", ["/copies", "a"])
    again, same = identity_of("1-0a.secret", ["/copies", "a"])
    assert (own.public, number) == (again.public, same)
    for token, call in [("1-0a.other", ["/copies", "a"]), ("1-0a.secret", ["/copiesa"])]:
        other, another = identity_of(token, call)
        assert other.public != own.public
        assert another != number
