"""What waits to be sent is counted, whatever becomes of the connection."""

from dxlfiletransferservice.outbox import Outbox


class Message:
    def __init__(self) -> None:
        self.sent = False

    def is_published(self) -> bool:
        return self.sent


def test_bytes_wait_until_they_are_sent() -> None:
    outbox, messages = Outbox(), [Message() for _ in range(3)]
    for message, size in zip(messages, (1, 20, 300), strict=True):
        outbox.add(message, size, "connection")
    assert outbox.waiting("connection") == 321
    messages[0].sent = True
    assert outbox.waiting("connection") == 320
    messages[1].sent = messages[2].sent = True
    assert outbox.waiting("connection") == 0


def test_what_was_sent_makes_room_when_more_is_added() -> None:
    outbox, first = Outbox(), Message()
    outbox.add(first, 7, "connection")
    first.sent = True
    outbox.add(Message(), 5, "connection")
    assert outbox.waiting("connection") == 5


def test_a_new_connection_begins_with_nothing() -> None:
    outbox = Outbox()
    outbox.add(Message(), 7, "first")
    assert outbox.waiting("second") == 0
    outbox.add(Message(), 5, "second")
    assert outbox.waiting("second") == 5
    outbox.add(Message(), 4, "third")
    assert outbox.waiting("third") == 4
