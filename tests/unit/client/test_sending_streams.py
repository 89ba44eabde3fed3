"""Streams: what is kept of them, and the conversation about one."""

import io
import random
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dxlfiletransferclient.errors import MalformedAnswerError, SourceChangedError
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import ProgressMeter
from dxlfiletransferclient.protocol.messages import OpenRequest, TransferState
from dxlfiletransferclient.protocol.refusals import ErrorCode
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.filejob import FileJob
from dxlfiletransferclient.sending.streamsource import StreamLostError, StreamSource
from tests.unit.client.fabric import sha256
from tests.unit.client.sendingjobs import SEGMENT, Script

if TYPE_CHECKING:
    from dxlfiletransferclient.sending.ending import Ending

CONTENT = random.Random(1).randbytes(100)


class Streaming(Script):
    """A job that sends a stream."""

    def __init__(self, content: bytes = CONTENT, *, size: int | None = None, buffer: int = 50):
        self.stream = io.BytesIO(content)
        self.source = StreamSource(self.stream.read, size=size, buffer=buffer)
        self.endings: list[Ending] = []
        super().__init__(
            FileJob(
                self.source,
                OpenRequest(file_id="id", name="n", size=size),
                segment_size=SEGMENT,
                meter=ProgressMeter(now=0.0).begin("n", size),
                on_end=self.endings.append,
            )
        )

    def open(self, *held: tuple[int, int], durable: tuple[tuple[int, int], ...] = ()) -> None:
        self.asked(Verb.OPEN)
        self.answer(held=held, durable=durable)


def parts(source: StreamSource, *ends: int) -> list[int]:
    return [source.extend(end) for end in ends]


def size_of(source: StreamSource) -> int | None:
    return source.size


def test_a_stream_is_read_only_as_far_as_is_wanted() -> None:
    stream = io.BytesIO(CONTENT)
    source = StreamSource(stream.read)
    assert size_of(source) is None
    assert parts(source, 10, 30) == [10, 30]
    assert stream.tell() == 30
    assert (source.available, size_of(source)) == (30, None)
    assert source.read(5, 25) == CONTENT[5:25]
    assert parts(source, 1000) == [100]
    assert source.size == 100
    assert source.finish() == sha256(CONTENT)


def test_a_stream_of_declared_size_is_read_no_further() -> None:
    stream = io.BytesIO(CONTENT)
    source = StreamSource(stream.read, size=40)
    assert source.size == 40
    assert parts(source, 30, 60, 80) == [30, 40, 40]
    assert stream.tell() == 40
    assert source.finish() == sha256(CONTENT[:40])


def test_a_stream_that_stops_at_a_limit() -> None:
    source = StreamSource(io.BytesIO(CONTENT).read, most=25)
    assert size_of(source) is None
    assert parts(source, 10, 90) == [10, 25]
    assert source.size == 25
    short = StreamSource(io.BytesIO(b"abc").read, most=25)
    assert parts(short, 10) == [3]
    assert short.size == 3


def test_empty_streams() -> None:
    assert StreamSource(io.BytesIO(CONTENT).read, size=0).size == 0
    source = StreamSource(io.BytesIO().read)
    assert parts(source, 10) == [0]
    assert source.size == 0


def test_a_stream_that_ends_too_early() -> None:
    source = StreamSource(io.BytesIO(CONTENT).read, name="pipe", size=101)
    with pytest.raises(SourceChangedError, match=r"pipe ended after 100 bytes.* 101 bytes"):
        source.extend(101)


def test_text_that_is_longer_than_its_declared_size() -> None:
    source = StreamSource(io.StringIO("äöüß").read, size=7)
    with pytest.raises(SourceChangedError, match="at least 8 bytes"):
        source.extend(7)


def test_what_is_durable_is_not_kept() -> None:
    source = StreamSource(io.BytesIO(CONTENT).read, buffer=30)
    source.extend(30)
    assert (source.full, source.pressed, source.restart()) == (True, True, True)
    source.release(0)
    assert source.full
    source.release(15)
    source.release(10)
    assert (source.full, source.pressed, source.restart()) == (False, False, False)
    assert source.available == 30
    assert source.read(15, 30) == CONTENT[15:30]
    with pytest.raises(StreamLostError, match="lost bytes 10 to 15"):
        source.read(10, 20)


def test_what_is_durable_may_be_more_than_was_read() -> None:
    source = StreamSource(io.BytesIO(CONTENT).read)
    source.extend(20)
    source.release(50)
    assert source.available == 20


def test_closing_drops_the_buffer_and_closes_once() -> None:
    closed: list[bool] = []
    source = StreamSource(io.BytesIO(CONTENT).read, close=lambda: closed.append(True))
    source.extend(50)
    source.close()
    source.close()
    assert closed == [True]
    assert not source.full


def test_a_stream_from_begin_to_end() -> None:
    streaming = Streaming(buffer=1000)
    streaming.open()
    sent = streaming.segments()
    assert b"".join(payload for _, payload in sent) == CONTENT
    streaming.acknowledge()
    request = streaming.asked(Verb.FINISH)
    assert (request.size, request.sha256) == (100, sha256(CONTENT))
    streaming.answer(TransferState.STORED)
    (ending,) = streaming.endings
    assert (ending.result, ending.size, ending.sent) == (Result.STORED, 100, 100)


def test_the_first_segment_is_not_sent_in_the_step_that_waited_for_it() -> None:
    streaming = Streaming()
    streaming.open()
    assert streaming.job.next(100, 5.0) is None
    assert streaming.job.due() == 5.0, "the engine is to look at its clock"
    assert streaming.stream.tell() == SEGMENT
    ask = streaming.job.next(100, 65.0)
    assert ask is not None
    assert ask.verb is Verb.SEGMENT


def test_nothing_is_read_that_there_is_no_room_for() -> None:
    streaming = Streaming()
    streaming.open()
    assert len(streaming.segments(room=25)) == 2
    assert streaming.stream.tell() == 20


def test_a_full_buffer_waits_until_the_service_has_flushed() -> None:
    streaming = Streaming()
    streaming.open()
    assert len(streaming.segments()) == 5
    while streaming.waiting:
        assert streaming.ask() is None, "there is something on its way yet"
        streaming.answer()
    assert streaming.stream.tell() == 50
    request = streaming.asked(Verb.STATUS)
    assert request.flush
    assert streaming.ask() is None
    streaming.answer(held=[(0, 50)], durable=((0, 30),))
    assert len(streaming.segments()) == 3
    assert streaming.stream.tell() == 80


def test_a_flush_is_asked_for_before_the_buffer_is_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dxlfiletransferclient.sending.filejob.FLUSH_EVERY", 15)
    streaming = Streaming()
    streaming.open()
    streaming.segments(room=40)
    streaming.answer()
    assert streaming.ask(room=0) is None, "10 bytes are too few for a flush"
    streaming.answer()
    request = streaming.asked(Verb.STATUS, room=0)
    assert request.flush
    assert len(streaming.waiting) == 3, "while others are on their way"
    assert streaming.stream.tell() == 40
    assert len(streaming.segments(room=20)) == 1, "and the next one is read"


def test_a_service_that_does_not_flush() -> None:
    streaming = Streaming()
    streaming.open()
    streaming.segments()
    streaming.acknowledge()
    streaming.asked(Verb.STATUS)
    streaming.answer(held=[(0, 50)])
    with pytest.raises(MalformedAnswerError, match="does not bring to its disk"):
        streaming.ask()


def test_a_service_that_crashed_gets_again_what_it_had_not_on_its_disk() -> None:
    streaming = Streaming()
    streaming.open()
    streaming.segments()
    streaming.answer()
    streaming.answer(durable=((0, 20),))
    streaming.move()
    streaming.open((0, 20), durable=((0, 20),))
    sent = streaming.segments()
    assert sent[:3] == [(20, CONTENT[20:30]), (30, CONTENT[30:40]), (40, CONTENT[40:50])]
    assert len(sent) == 5, "and the next two"


def test_what_is_durable_but_not_acknowledged_is_kept_as_it_may_be_sent_again() -> None:
    streaming = Streaming()
    streaming.open()
    streaming.segments()
    first, second = streaming.waiting[:2]
    streaming.answer(number=1, held=[(0, 20)], durable=((0, 20),))
    assert bytes(first.parcel().payload) == CONTENT[:10]
    streaming.answer(held=[(0, 20)], durable=((0, 20),))
    with pytest.raises(StreamLostError):
        second.parcel()


def test_a_service_that_lost_what_is_not_kept_any_more() -> None:
    streaming = Streaming()
    streaming.open()
    streaming.segments()
    streaming.answer()
    streaming.answer(durable=((0, 20),))
    streaming.move()
    streaming.open((0, 10))
    ask = streaming.ask()
    assert ask is not None
    with pytest.raises(StreamLostError, match="send it again"):
        ask.parcel()


def test_a_stream_begins_anew_only_if_all_of_it_is_kept() -> None:
    streaming = Streaming(CONTENT[:30])
    streaming.open()
    streaming.segments()
    streaming.acknowledge()
    streaming.asked(Verb.FINISH)
    streaming.answer(TransferState.MISMATCH)
    streaming.asked(Verb.ABORT)
    streaming.done()
    streaming.open()
    assert len(streaming.segments()) == 3
    streaming.acknowledge(durable=((0, 30),))
    streaming.asked(Verb.FINISH)
    with pytest.raises(SourceChangedError):
        streaming.answer(TransferState.MISMATCH)


@pytest.mark.parametrize(
    "trouble",
    [
        lambda streaming: streaming.refuse(ErrorCode.OTHER_BYTES),
        lambda streaming: streaming.job.failed(LookupError("enough")),
    ],
)
def test_a_stream_that_fails_is_closed(trouble: Callable[[Streaming], None]) -> None:
    streaming = Streaming()
    streaming.open()
    streaming.segments()
    streaming.answer(durable=((0, 10),))
    trouble(streaming)
    (ending,) = streaming.endings
    assert ending.result is Result.FAILED
    assert not streaming.source.full
