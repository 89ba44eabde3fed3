"""What senders and receivers have in common."""

import pytest

from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.exchange.cancelling import Cancellation, TransferCancelledError
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.receiving.receiver import Receiver
from dxlfiletransferclient.sending.sender import Sender
from dxlfiletransferclient.testing import MemoryBus, MemoryStore
from tests.unit.client.receiving import put

TOPIC = "/other/store"

Kind = type[Sender] | type[Receiver]


def call(caller: Sender | Receiver) -> None:
    if isinstance(caller, Sender):
        caller.connect()
    else:
        caller.stat("a")


@pytest.mark.parametrize("kind", [Sender, Receiver])
def test_the_topic_that_it_is_given(kind: Kind) -> None:
    bus = MemoryBus()
    store = MemoryStore()
    put(store, {"a": b"1"})
    bus.serve(store, TOPIC)
    call(kind(bus, TOPIC))
    with pytest.raises(RefusedError) as caught:
        call(kind(bus, DEFAULT_STORE_TOPIC))
    assert caught.value.means(ErrorCode.NO_SERVICE)


@pytest.mark.parametrize("kind", [Sender, Receiver])
def test_it_is_cancelled(kind: Kind) -> None:
    bus = MemoryBus()
    bus.serve(MemoryStore())
    cancel = Cancellation()
    cancel.cancel()
    with pytest.raises(TransferCancelledError):
        call(kind(bus, cancel=cancel))
    assert bus.log.of(Verb.HELLO).requests == 0
