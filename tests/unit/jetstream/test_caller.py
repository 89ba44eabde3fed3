import threading
from dataclasses import replace
from typing import Any

import pytest

from dxlfiletransferclient.control.caller import ControlClient
from dxlfiletransferclient.control.errors import (
    ApiVersionError,
    AuthenticationError,
    CallTimeoutError,
    CommandError,
    ConnectError,
    ConnectionLostError,
    ErrorKind,
    NotConnectedError,
    ServerChoiceError,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.testing import MemoryBus
from dxlfiletransferclient.testing.faults import Direction, Faults, Harm
from dxlfiletransferservice.admission.sessiontable import LINGER_SECONDS
from tests.unit.jetstream.controlservers import ControlServer

LOGIN = {"userName": "ann", "password": "secret"}


def connected(bus: MemoryBus, **options: Any) -> ControlClient:
    client = ControlClient(bus, **options)
    client.connect()
    return client


def counting(server: ControlServer) -> list[int]:
    """Have ``send.count`` answered with how often it was carried out."""
    counted: list[int] = []

    def count(_arguments: dict[str, Any]) -> int:
        counted.append(1)
        return len(counted)

    server.on("send.count", count)
    return counted


def test_call_in_a_sealed_session() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    server.on("send.echo", lambda arguments: arguments)
    client = connected(bus)
    client.log_on(LOGIN)
    assert client.call("send.echo", {"a": [1, None, "ü"], "b": None}) == {"a": [1, None, "ü"]}
    assert server.names() == ["server.getServerInfo", "server.auth", "send.echo"]
    assert bus.log.of(Verb.CALL).requests == 0


def test_errors_keep_their_kind() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)

    def fail(_arguments: dict[str, Any]) -> None:
        raise CommandError("there is no transfer '17'", ErrorKind.NOT_FOUND)

    server.on("send.getTransfer", fail)
    client = connected(bus)
    with pytest.raises(AuthenticationError, match="log on first"):
        client.call("send.getTransfer", {"transferId": "17"})
    with pytest.raises(AuthenticationError, match="password is wrong"):
        client.log_on({**LOGIN, "password": "guess"})
    client.log_on(LOGIN)
    with pytest.raises(CommandError, match="there is no transfer '17'") as caught:
        client.call("send.getTransfer", {"transferId": "17"})
    assert caught.value.kind is ErrorKind.NOT_FOUND
    with pytest.raises(CommandError, match=r"knows no command 'send\.fly'") as caught:
        client.call("send.fly")
    assert caught.value.kind is ErrorKind.UNKNOWN_COMMAND


@pytest.mark.parametrize("seed", range(10))
def test_each_call_is_carried_out_once_on_a_bad_line(seed: int) -> None:
    bus = MemoryBus(seed=seed, faults=Faults(lose=0.1, duplicate=0.1, corrupt=0.05))
    server = ControlServer(bus)
    counting(server)
    client = connected(bus, timeout=60)
    client.log_on(LOGIN)
    assert [client.call("send.count") for _ in range(30)] == list(range(1, 31))


def test_goes_on_after_a_restart_of_the_server() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    server.crash()
    bus.at(bus.now() + 3, server.restart)
    assert client.call("send.count") == 1
    assert server.calls[-1][:2] == ("send.count", "ann")
    assert bus.now() >= 3


def test_goes_on_when_the_server_has_forgotten_the_session() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    server.desk.maintain(bus.time() + 3600)
    assert client.call("send.count") == 1
    assert server.calls[-1][:2] == ("send.count", "ann")


def test_log_on_that_has_ended() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    server.tickets.users.clear()
    server.restart()
    with pytest.raises(AuthenticationError, match=r"log-on has ended .*log on again"):
        client.call("send.count")
    with pytest.raises(AuthenticationError, match="log on first"):
        client.call("send.count")
    client.log_on(LOGIN)
    assert client.call("send.count") == 1


def test_log_on_that_was_taken_away() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    server.tickets.users.clear()
    with pytest.raises(AuthenticationError, match="log on first"):
        client.call("send.count")
    client.log_on(LOGIN)
    assert client.call("send.count") == 1


def test_log_on_again_after_one_that_has_ended() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    server.tickets.users.clear()
    server.restart()
    client.log_on({**LOGIN, "userName": "bob"})
    assert client.call("send.count") == 1
    assert server.calls[-1][1] == "bob"


def test_ticket_of_somebody_else() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus, ticket=server.tickets.log_on("admin"))
    assert client.call("send.count") == 1
    assert server.calls[-1][1] == "admin"
    client.close()
    assert server.tickets.users  # it was only lent


def test_leaving_gives_up_the_log_on() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    client = connected(bus)
    client.log_on(LOGIN)
    states = [client.connected]
    client.close()
    client.close()
    assert [*states, client.connected] == [True, False]
    assert not server.tickets.users
    server.desk.maintain(bus.time() + LINGER_SECONDS)
    assert len(server.desk) == 0
    with pytest.raises(NotConnectedError, match="was ended"):
        client.call("send.count")


def test_leaving_a_server_that_is_gone_does_not_take_long() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    client = connected(bus)
    client.log_on(LOGIN)
    server.hang()
    begin = bus.now()
    client.close()
    assert bus.now() - begin < 3


def test_no_answer_in_time() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counted = counting(server)
    client = connected(bus, timeout=5)
    client.log_on(LOGIN)
    server.hang()
    with pytest.raises(CallTimeoutError, match=r"server 'one' .*send.count may have been carr"):
        client.call("send.count")
    assert 5 <= bus.now() < 6
    begin = bus.now()
    with pytest.raises(TimeoutError):
        client.call("send.count", timeout=0.5)
    assert bus.now() - begin < 1
    server.hang(hanging=False)
    assert client.call("send.count") == len(counted)


def test_lost_connection() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus, timeout=5)
    client.log_on(LOGIN)
    bus.cut(20)
    assert not client.connected
    with pytest.raises(ConnectionLostError, match="connection to the broker was lost"):
        client.call("send.count")
    bus.run(20)
    assert client.call("send.count") == 1


def test_answers_that_get_lost_are_answered_again() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    bus.harm(Verb.SEALED, Harm.LOSE, direction=Direction.ANSWER, count=2)
    assert client.call("send.count") == 1


def test_nobody_is_there() -> None:
    with pytest.raises(ConnectError, match="there is no transfer server on this fabric"):
        ControlClient(MemoryBus()).connect()
    bus = MemoryBus()
    ControlServer(bus).hang()
    with pytest.raises(ConnectError, match=r"no service .* answered within 5 seconds"):
        ControlClient(bus, timeout=5).connect()


def test_call_before_connecting() -> None:
    with pytest.raises(NotConnectedError, match="connect first"):
        ControlClient(MemoryBus()).call("send.count")


def test_other_level_of_the_api() -> None:
    bus = MemoryBus()
    ControlServer(bus).information["apiVersion"] = 41
    with pytest.raises(ApiVersionError, match=r"'one' .* speaks level 41 .* program level 40"):
        ControlClient(bus).connect()


def test_several_servers() -> None:
    bus = MemoryBus()
    servers = [ControlServer(bus, name) for name in ("one", "two", "three")]
    with pytest.raises(ServerChoiceError, match=r"several .*'one' \(uid-one\).*'two' \(uid-two\)"):
        ControlClient(bus).connect()
    connected(bus, server="two")
    connected(bus, server="uid-two")
    assert [len(server.calls) for server in servers] == [0, 2, 0]
    with pytest.raises(
        ServerChoiceError, match=r"has the name or uid 'four'; this fabric has: .*'one'"
    ):
        ControlClient(bus, server="four").connect()


def test_another_server_never_takes_the_place() -> None:
    bus = MemoryBus()
    one, two = ControlServer(bus, "one"), ControlServer(bus, "two")
    counting(one)
    counting(two)
    client = connected(bus, server="one")
    client.log_on(LOGIN)
    one.crash()
    with pytest.raises(CallTimeoutError):
        client.call("send.count", timeout=100)
    assert two.calls == []
    one.restart()
    assert client.call("send.count") == 1


def test_several_servers_of_one_name() -> None:
    bus = MemoryBus()
    ControlServer(bus, "same", "17")
    ControlServer(bus, "same", "18")
    with pytest.raises(ServerChoiceError, match=r"several .* the name 'same'; .*\(17\).*\(18\)"):
        ControlClient(bus, server="same").connect()
    connected(bus, server="18")


def test_server_with_another_key() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    key = PrivateKey.generate().public
    with pytest.raises(ConnectError, match=f"but must have {key}"):
        ControlClient(bus, public_key=key).connect()
    connected(bus, public_key=f" {server.key.public} ")
    with pytest.raises(ValueError, match="no public key"):
        ControlClient(bus, public_key="x")


@pytest.mark.parametrize("logged_on", [True, False])
def test_server_that_changes_its_key(logged_on: bool) -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    if logged_on:
        client.log_on(LOGIN)
    server.key = PrivateKey.generate()
    server.restart()
    with pytest.raises(ConnectError, match=f"has the public key {server.key.public}, but must"):
        client.call("send.count")
    assert "send.count" not in server.names()


def test_server_without_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    hello = server.hello()
    monkeypatch.setattr(server, "hello", lambda: replace(hello, public_key=None))
    with pytest.raises(ConnectError, match="tells no key"):
        ControlClient(bus).connect()
    monkeypatch.setattr(server, "hello", lambda: replace(hello, public_key="x"))
    with pytest.raises(ConnectError, match="tells no valid key"):
        ControlClient(bus).connect()


def test_arguments_that_cannot_be_sent() -> None:
    bus = MemoryBus()
    ControlServer(bus)
    client = connected(bus)
    with pytest.raises(CommandError, match=r"send.x take 1000012 bytes; one call takes 1000000"):
        client.call("send.x", {"text": "a" * 1_000_001})
    with pytest.raises(CommandError, match=r"send.x cannot be sent as JSON: .*set"):
        client.call("send.x", {"text": {1}})
    with pytest.raises(CommandError, match="cannot be sent as JSON"):
        client.call("send.x", {"rate": float("nan")})


def test_largest_arguments() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    server.on("send.length", lambda arguments: len(arguments["text"]))
    client = connected(bus)
    client.log_on(LOGIN)
    assert client.call("send.length", {"text": "a" * 999_980}) == 999_980


def test_names_that_are_no_unicode() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    server.on("send.echo", lambda arguments: arguments)
    client = connected(bus)
    client.log_on(LOGIN)
    assert client.call("send.echo", {"path": "/a\udce9ü"}) == {"path": "/a\udce9ü"}


def test_calls_of_several_threads_come_one_after_another() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    counting(server)
    client = connected(bus)
    client.log_on(LOGIN)
    found: list[int] = []

    def call() -> None:
        for _ in range(20):
            found.append(client.call("send.count"))  # noqa: PERF401

    threads = [threading.Thread(target=call) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(found) == list(range(1, 81))


def test_turn_that_does_not_come() -> None:
    bus = MemoryBus()
    ControlServer(bus)
    client = connected(bus)
    with client._lock, pytest.raises(CallTimeoutError, match=r"was not called: .* 0.01 s"):
        client.call("send.count", timeout=0.01)


def test_answers_that_make_no_sense() -> None:
    bus = MemoryBus()
    server = ControlServer(bus)
    server.handlers["server.getServerInfo"] = lambda _call: None
    server.restart()
    with pytest.raises(ApiVersionError, match="tells nothing about itself"):
        ControlClient(bus).connect()
