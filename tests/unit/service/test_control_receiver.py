"""The commands of ``recv``, and who may send."""

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.admission.receptions import Newcomer
from dxlfiletransferservice.admission.receptions import Receptions as RealReceptions
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.upkeep.authorizedsenders import AuthorizedSenders
from dxlfiletransferservice.control.upkeep.receivercommands import ReceiverCommands
from dxlfiletransferservice.control.upkeep.requestcommands import RequestCommands
from dxlfiletransferservice.control.upkeep.requests import Requests
from tests.unit.service.calling import ANN, ROOT, call, opened, unchanged
from tests.waiting import TIMEOUT, wait_until

KEY = PrivateKey.from_bytes(bytes([1]) * 32).public
OTHER = PrivateKey.from_bytes(bytes([2]) * 32).public


class Receiver:
    """The commands over a database."""

    def __init__(self, database: Database) -> None:
        self.requests = Requests(database)
        self.senders = AuthorizedSenders(database)
        self.receptions = RealReceptions(database)
        self.commands = {
            **ReceiverCommands(self.requests, self.senders, self.receptions).handlers(),
            **RequestCommands(self.requests).handlers(),
        }
        self.requests.start(self.commands, unchanged)

    def run(self, command: str, *, principal: Principal | None = ROOT, **values: Any) -> Any:
        """Call a command, and return the result of its request."""
        made = self.commands[f"recv.{command}"](
            call(f"recv.{command}", values, principal=principal)
        )

        def ask(name: str) -> Any:
            return self.commands[name](call(name, made, principal=principal))

        wait_until(lambda: not ask("server.getRequestStatus")["processing"])
        return ask("server.getRequestResult")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


@pytest.fixture
def receiver(database: Database) -> Iterator[Receiver]:
    receiver = Receiver(database)
    yield receiver
    receiver.requests.close()


def test_at_first_everybody_may_send(receiver: Receiver) -> None:
    assert not receiver.senders.restricted
    assert not receiver.senders.allows(KEY)


def test_only_listed_senders_may_send_from_then_on(receiver: Receiver) -> None:
    assert receiver.run("addAuthorizedClientAsync", clientPublicKey=KEY) is None
    restrict = "allowOnlyAuthorizedClientsAsync"
    assert receiver.run(restrict, onlyAuthorizedClientsAllowed=True) is None
    assert receiver.senders.restricted
    assert receiver.senders.allows(KEY)
    assert not receiver.senders.allows(OTHER)
    receiver.run(restrict, onlyAuthorizedClientsAllowed=False)
    assert not receiver.senders.restricted


def test_a_key_may_come_in_a_structure_with_blanks_and_again(receiver: Receiver) -> None:
    receiver.run("addAuthorizedClientAsync", clientPublicKey={"clientPublicKey": f" {KEY}\n"})
    receiver.run("addAuthorizedClientAsync", clientPublicKey=KEY)
    assert receiver.senders.allows(KEY)


def test_a_sender_is_taken_off_the_list_once(receiver: Receiver) -> None:
    for each in (KEY, OTHER):
        receiver.run("addAuthorizedClientAsync", clientPublicKey=each)
    assert receiver.run("removeAuthorizedClientAsync", clientPublicKey=KEY) is None
    assert not receiver.senders.allows(KEY)
    assert receiver.senders.allows(OTHER)
    with pytest.raises(CommandError, match="there is no authorized client") as caught:
        receiver.run("removeAuthorizedClientAsync", clientPublicKey=KEY)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_the_list_outlives_the_server(receiver: Receiver, database: Database) -> None:
    receiver.run("addAuthorizedClientAsync", clientPublicKey=KEY)
    receiver.run("allowOnlyAuthorizedClientsAsync", onlyAuthorizedClientsAllowed=True)
    again = AuthorizedSenders(database)
    assert again.restricted
    assert again.allows(KEY)


def test_the_list_is_bounded(receiver: Receiver, mocker: Any) -> None:
    mocker.patch("dxlfiletransferservice.control.upkeep.authorizedsenders.MAX_SENDERS", 1)
    receiver.senders.add(KEY)
    receiver.senders.add(KEY)
    with pytest.raises(CommandError, match="remove some first"):
        receiver.senders.add(OTHER)


def test_changes_from_several_threads_are_all_there(database: Database) -> None:
    senders = AuthorizedSenders(database)
    keys = [PrivateKey.from_bytes(bytes([each]) * 32).public for each in range(1, 9)]
    begin = threading.Barrier(len(keys))

    def add(key: str) -> None:
        begin.wait(TIMEOUT)
        senders.add(key)

    threads = [threading.Thread(target=add, args=(key,)) for key in keys]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(TIMEOUT)
    assert all(senders.allows(key) for key in keys)
    again = AuthorizedSenders(database)
    assert all(again.allows(key) for key in keys)


@pytest.mark.parametrize("command", ["addAuthorizedClientAsync", "removeAuthorizedClientAsync"])
@pytest.mark.parametrize("value", ["", "dxlft1-short", KEY[:-1], KEY + "x", 7, {}, [KEY], None])
def test_what_is_no_key_is_refused_at_once(receiver: Receiver, command: str, value: Any) -> None:
    with pytest.raises(CommandError) as caught:
        receiver.run(command, clientPublicKey=value)
    assert caught.value.kind is ErrorKind.INVALID
    assert not receiver.senders.allows(KEY)


@pytest.mark.parametrize("value", [None, "yes", 1])
def test_the_restriction_is_true_or_false(receiver: Receiver, value: Any) -> None:
    with pytest.raises(CommandError, match="onlyAuthorizedClientsAllowed") as caught:
        receiver.run("allowOnlyAuthorizedClientsAsync", onlyAuthorizedClientsAllowed=value)
    assert caught.value.kind is ErrorKind.INVALID


def newcomer(number: int, key: str = KEY) -> Newcomer:
    return Newcomer(
        sender_key=key,
        transfer_id=str(number),
        user="ann",
        total_size=10,
        destination_path="in",
        client_id="{client}",
    )


def test_what_is_sent_here_is_told_as_a_result(receiver: Receiver) -> None:
    assert receiver.run("getTransfersAsync") == []
    assert receiver.run("getSourcesAsync") == []
    reception = receiver.receptions.begin(newcomer(1))
    reception.received(4)
    receiver.receptions.begin(newcomer(2, OTHER))
    first, second = receiver.run("getTransfersAsync")
    assert (first["transferId"], first["status"], first["totalSize"]) == ("1", "receiving", 10)
    assert first["destinationPath"] == "in"
    assert second["receptionId"] == "2"
    sources = receiver.run("getSourcesAsync")
    assert {each["destinationPublicKey"] for each in sources} == {KEY, OTHER}
    assert [each["activeTransferCount"] for each in sources] == [1, 1]


def test_pages_of_what_is_sent_here_follow_each_other(receiver: Receiver) -> None:
    for number in range(5):
        receiver.receptions.begin(newcomer(number))

    def ids(**wanted: Any) -> list[str]:
        return [each["receptionId"] for each in receiver.run("getTransfersAsync", **wanted)]

    assert ids(after=0, limit=2) == ["1", "2"]
    assert ids(after="2", limit=2) == ["3", "4"]
    assert ids(after={"receptionId": "4"}) == ["5"]
    assert ids(before=3) == ["1", "2"]


COMMANDS: dict[str, dict[str, Any]] = {
    "addAuthorizedClientAsync": {"clientPublicKey": KEY},
    "removeAuthorizedClientAsync": {"clientPublicKey": KEY},
    "allowOnlyAuthorizedClientsAsync": {"onlyAuthorizedClientsAllowed": True},
    "getSourcesAsync": {},
    "getTransfersAsync": {},
}


@pytest.mark.parametrize("command", COMMANDS)
def test_all_five_are_for_superusers(receiver: Receiver, command: str) -> None:
    with pytest.raises(CommandError, match="only a superuser may do this") as caught:
        receiver.run(command, principal=ANN, **COMMANDS[command])
    assert caught.value.kind is ErrorKind.NOT_ALLOWED
    with pytest.raises(CommandError) as caught:
        receiver.run(command, principal=None, **COMMANDS[command])
    assert caught.value.kind is ErrorKind.NOT_AUTHENTICATED
    with pytest.raises(CommandError, match="takes no argument 'zzz'"):
        receiver.run(command, zzz=1, **COMMANDS[command])
    assert not receiver.senders.restricted


def test_a_restart_carries_out_what_was_asked_for(database: Database) -> None:
    killed = Requests(database)
    commands = ReceiverCommands(killed, AuthorizedSenders(database), RealReceptions(database))
    name = "recv.addAuthorizedClientAsync"
    made = call(name, {"clientPublicKey": KEY}, principal=ROOT)
    assert commands.handlers()[name](made) == {"requestId": 1}
    again = Receiver(database)
    wait_until(lambda: again.senders.allows(KEY))
    again.requests.close()
