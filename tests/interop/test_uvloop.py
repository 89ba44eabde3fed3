"""The embedded broker in the event loop of a program that uses uvloop."""

import asyncio
import sys

import pytest

from dxlfabric import mqtt
from dxlfabric.broker import EmbeddedBroker
from dxlfabric.certificates import Provisioned
from dxlfabric.message import Event, decode, encode
from tests.integration.rawclient import RawClient

if sys.platform == "win32":
    pytest.skip("there is no uvloop for Windows", allow_module_level=True)

import uvloop

PAYLOAD = bytes(900 * 1024)


def talk(port: int, provisioned: Provisioned) -> None:
    with RawClient(port, provisioned.client.credentials).connect() as client:
        client.subscribe("/t")
        for number in range(8):
            message = encode(Event(message_id=f"{{{number}}}", payload=PAYLOAD)).join()
            client.send(mqtt.Publish("/t", message))
        for number in range(8):
            received = client.receive()
            assert isinstance(received, mqtt.Publish)
            event = decode(received.payload)
            assert (event.message_id, event.payload) == (f"{{{number}}}", PAYLOAD)


def test_large_messages_go_through(provisioned: Provisioned) -> None:
    async def main() -> None:
        async with EmbeddedBroker(provisioned.broker) as broker:
            await asyncio.to_thread(talk, broker.port, provisioned)

    uvloop.run(main())
