"""Replays the client's side of recorded conversations with an OpenDXL broker.

The embedded broker must answer every recorded packet with what the real one answered. Identifiers
and times differ from run to run, and facts about the machine are the machine's: they are mapped or
left out below, each by name. Everything else is compared.
"""

import base64
import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned, provision
from dxlfabric.chains import certificate_id, read_bundle
from dxlfabric.message import decode
from dxlfabric.mqtt import Packet, Publish
from dxlfabric.packets import PacketReader
from tests.integration.rawclient import RawClient

TRANSCRIPTS = Path(__file__).parents[1] / "data" / "fabric-transcripts"

RECORDED_BROKER = "d36d2b55-40d1-4696-a199-60bb87c1e9a6"
RECORDED_CERTIFICATES = {
    "ca": "fccf77787912ef4d07882a4556fd4ab826971f39",
    "client": "8207b85826f2a152183e74b0ec5128e7a8336e4e",
    "service": "c046b342cf43dbafcd75380e69dd48ffe00b08e0",
    "service2": "b6132bf0ace89784282943444f27b435063caabd",
}

TIMES = {"registrationTime", "startTime", "incomingMessages", "outgoingMessages"}
ABOUT_THE_MACHINE = {"hostname", "port", "version", "webSocketPort"}
# The recorded broker counted a connection that is not part of the recording.
OUTSIDE_THE_RECORDING = {"connectedClients"}
LEFT_OUT = TIMES | ABOUT_THE_MACHINE | OUTSIDE_THE_RECORDING
UNORDERED = {"requestChannels"}

# Requests of earlier recordings that had moved the turn on before this one began.
EARLIER_TURNS = {"two-instances": 1}

INSTANCE = re.compile(r"[0-9a-f]{40}:[0-9a-f]{8}-[0-9a-f-]{27}")


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Provisioned:
    names = [name for name in RECORDED_CERTIFICATES if name != "ca"]
    return provision(tmp_path_factory.mktemp("fabric"), clients=names)


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_embedded_broker_answers_as_the_recorded_one(path: Path, fabric: Provisioned) -> None:
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    with EmbeddedBroker(fabric.broker, broker_id=RECORDED_BROKER) as broker:
        replay = Replay(broker.port, fabric, EARLIER_TURNS.get(path.stem, 0))
        try:
            for number, entry in enumerate(entries, 1):
                replay.step(entry, f"{path.name}:{number}")
        finally:
            replay.close()
    assert replay.compared == sum(
        entry.get("from") == "broker" and entry["packet"] != "CLOSED" for entry in entries
    )


@dataclass
class Replay:
    """Plays the clients and compares what they get."""

    port: int
    fabric: Provisioned
    earlier_turns: int
    compared: int = 0
    connections: dict[int, RawClient] = field(default_factory=dict)
    instances: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.certificates = {
            recorded: self.live_certificate(name)
            for name, recorded in RECORDED_CERTIFICATES.items()
        }

    def live_certificate(self, name: str) -> str:
        if name == "ca":
            path = self.fabric.broker.authority
        else:
            path = self.fabric.clients[name].credentials.certificate
        return certificate_id(read_bundle(path)[0].public_bytes(Encoding.DER))

    def step(self, entry: dict[str, Any], where: str) -> None:
        connection = entry["conn"]
        if entry["packet"] == "OPEN":
            credentials = self.fabric.clients[entry["certificate"]].credentials
            self.connections[connection] = RawClient(self.port, credentials)
        elif entry["packet"] == "CLOSED":
            if connection in self.connections:
                self.connections.pop(connection).vanish()
        elif entry["from"] == "client":
            self.send(connection, entry)
        else:
            self.compare(connection, entry, where)

    def send(self, connection: int, entry: dict[str, Any]) -> None:
        data = self.mapped(whole(entry))
        client = self.connections[connection]
        if entry.get("topic") == "/example/echo" and self.earlier_turns:
            self.earlier_turns -= 1
            client.socket.sendall(data)
            assert isinstance(self.connections[1].receive(), Publish)
        try:
            client.socket.sendall(data)
        except OSError:
            # The broker hangs up in the middle of a packet that is too large.
            assert len(data) > 1_048_576

    def mapped(self, data: bytes) -> bytes:
        for recorded, live in self.certificates.items():
            data = data.replace(recorded.encode(), live.encode())
        return data

    def compare(self, connection: int, entry: dict[str, Any], where: str) -> None:
        (recorded,) = PacketReader().feed(self.mapped(whole(entry)))
        live = self.connections[connection].receive()
        expected = comparable(recorded)
        actual = comparable(live)
        self.match_instances(texts(expected), texts(actual), where)
        assert anonymous(actual) == anonymous(expected), where
        self.compared += 1

    def match_instances(self, recorded: Iterator[str], live: Iterator[str], where: str) -> None:
        """Check that a recorded instance is always the same live one, and another's never."""
        pairs = zip(instances(recorded), instances(live), strict=True)
        for theirs, ours in pairs:
            assert self.instances.setdefault(theirs, ours) == ours, where
        assert len(set(self.instances.values())) == len(self.instances), where

    def close(self) -> None:
        for client in self.connections.values():
            client.socket.close()


def whole(entry: dict[str, Any]) -> bytes:
    """Return a packet's bytes; where only its beginning was kept, zeros stand for the rest."""
    if "bytes" in entry:
        return base64.b64decode(entry["bytes"])
    return base64.b64decode(entry["head"]).ljust(entry["length"], b"\0")


def comparable(packet: Packet) -> Any:
    if not isinstance(packet, Publish):
        return packet
    message = decode(packet.payload)
    fields = {each.name: getattr(message, each.name) for each in dataclasses.fields(message)}
    fields["type"] = message.message_type.name
    fields["topic"] = packet.topic
    fields["flags"] = (packet.qos, packet.retain, packet.duplicate)
    payload = bytes(message.payload).decode()
    fields["payload"] = json.loads(payload) if payload.startswith("{") else payload
    fields["one line"] = payload.endswith("\n")
    if message.source_client_id == RECORDED_BROKER:
        del fields["message_id"]
    return fields


def anonymous(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: sorted(part) if key in UNORDERED else anonymous(part)
            for key, part in value.items()
            if key not in LEFT_OUT
        }
    if isinstance(value, list | tuple):
        return [anonymous(part) for part in value]
    if isinstance(value, str):
        return INSTANCE.sub("(instance)", value)
    return value


def texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple):
        for part in value:
            yield from texts(part)
    elif isinstance(value, str):
        yield value


def instances(found: Iterator[str]) -> list[str]:
    return [instance for text in found for instance in INSTANCE.findall(text)]
