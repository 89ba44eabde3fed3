"""The conversation about one file, with every answer that a service may give."""

from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.errors import MalformedAnswerError, SourceChangedError
from dxlfiletransferclient.exchange.pausing import FIRST_PAUSE, LONGEST_PAUSE
from dxlfiletransferclient.outcomes import Result
from dxlfiletransferclient.progress import Phase, ProgressMeter
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import OpenRequest, TransferState
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.ending import Ending
from dxlfiletransferclient.sending.filejob import FileJob
from dxlfiletransferclient.sending.pacing import MAX_ROUNDS
from dxlfiletransferclient.sending.source import FileSource
from tests.unit.client.fabric import open_descriptors, sha256
from tests.unit.client.sendingjobs import SEGMENT, Script

CONTENT = bytes(range(35))
STORED = TransferState.STORED
SEGMENTS = [(start, CONTENT[start : start + SEGMENT]) for start in range(0, 35, SEGMENT)]


class Sending(Script):
    """A job that sends a file, and what came of it."""

    def __init__(self, path: Path, segment_size: int = 1000) -> None:
        self.source = FileSource(str(path))
        self.meter = ProgressMeter(now=0.0)
        self.endings: list[Ending] = []
        self.acknowledged: list[int] = []
        self.granted: list[int] = []
        self.request = OpenRequest(file_id="id", name="n", size=self.source.size)
        super().__init__(
            FileJob(
                self.source,
                self.request,
                segment_size=segment_size,
                meter=self.meter.begin("n", self.source.size),
                on_end=self.endings.append,
                granted=self.granted.append,
                acknowledged=self.acknowledged.append,
            )
        )

    @property
    def ending(self) -> Ending:
        (ending,) = self.endings
        return ending

    def open(self, *held: tuple[int, int], durable: tuple[tuple[int, int], ...] = ()) -> None:
        assert self.asked(Verb.OPEN) == self.request
        self.answer(held=held, durable=durable)

    def send_all(self) -> None:
        self.segments()
        self.acknowledge()

    def finish(self, state: TransferState = STORED, **more: Any) -> None:
        request = self.asked(Verb.FINISH)
        assert (request.size, request.sha256) == (35, sha256(CONTENT))
        self.answer(state, **more)

    def anew(self) -> None:
        """Go through an abort and a new beginning."""
        self.asked(Verb.ABORT)
        self.done()
        self.open()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "f"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def sending(path: Path) -> Sending:
    return Sending(path)


def test_a_file_from_begin_to_end(sending: Sending) -> None:
    before = open_descriptors()
    sending.open()
    assert sending.segments() == SEGMENTS
    sending.now = 2.0
    sending.acknowledge(durable=((0, 10),))
    assert sending.meter.snapshot().durable == 10
    sending.now = 3.0
    sending.finish()

    assert sending.job.finished
    assert sending.ending == Ending(
        result=Result.STORED, size=35, sha256=sha256(CONTENT), sent=35, resumed=0, seconds=3.0
    )
    assert sending.acknowledged == [10, 20, 30, 35]
    assert set(sending.granted) == {100}
    assert sending.meter.snapshot().done == 35
    assert open_descriptors() == before - 1, "the file is closed"
    assert sending.ask() is None


def test_an_empty_file(tmp_path: Path) -> None:
    (tmp_path / "e").touch()
    sending = Sending(tmp_path / "e")
    sending.open()
    request = sending.asked(Verb.FINISH)
    assert (request.size, request.sha256) == (0, sha256(b""))
    sending.answer(STORED)
    assert sending.ending.result is Result.STORED


def test_segments_are_as_small_as_the_smaller_side_wants(path: Path) -> None:
    sending = Sending(path, segment_size=4)
    sending.open()
    assert [len(payload) for _, payload in sending.segments()] == [4] * 8 + [3]


def test_no_more_is_sent_than_there_is_room_for(sending: Sending) -> None:
    sending.open()
    assert len(sending.segments(room=25)) == 2
    sending.answer()
    assert len(sending.segments(room=10)) == 1


def test_one_segment_is_sent_even_if_there_is_no_room(sending: Sending) -> None:
    sending.open()
    assert len(sending.segments(room=0)) == 1
    sending.answer()
    assert len(sending.segments(room=3)) == 1


def test_only_what_is_missing_is_sent(sending: Sending) -> None:
    sending.open((0, 12), (20, 25), durable=((0, 12),))
    assert [(start, len(payload)) for start, payload in sending.segments()] == [
        (12, 8),
        (25, 10),
    ]
    assert sending.meter.snapshot().done == 17
    sending.acknowledge()
    sending.finish()
    assert (sending.ending.sent, sending.ending.resumed) == (18, 17)


def test_a_prefix_that_is_there_is_hashed_while_there_is_no_room(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dxlfiletransferclient.sending.source.HASH_STEP", 5)
    sending.open((0, 20))
    assert len(sending.segments(room=10)) == 1, "sending does not wait for that"
    assert sending.source.hash_up_to(20), "no room, so it was done meanwhile"
    sending.segments()
    sending.acknowledge()
    sending.finish()


def test_steps_of_hashing_are_asked_for_by_a_time_that_is_due(
    sending: Sending, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("dxlfiletransferclient.sending.source.HASH_STEP", 5)
    sending.open((0, 35))
    steps = 0
    while (ask := sending.job.next(100, 7.0)) is None:
        assert sending.job.due() == 7.0
        steps += 1
    assert ask.verb is Verb.FINISH
    assert steps == 6


def test_a_file_that_is_all_there_is_only_checked(sending: Sending) -> None:
    sending.open((0, 35))
    sending.finish()
    assert (sending.ending.sent, sending.ending.resumed) == (0, 35)
    assert sending.ending.result is Result.STORED


def test_a_file_that_is_stored_already(sending: Sending) -> None:
    sending.asked(Verb.OPEN)
    sending.answer(STORED, size=35, sha256=sha256(CONTENT))
    assert sending.ask() is None
    assert sending.ending.result is Result.UNCHANGED
    assert sending.ending.sha256 == sha256(CONTENT)


@pytest.mark.parametrize(
    ("size", "digest"), [(35, sha256(b"other")), (34, sha256(CONTENT)), (None, None)]
)
def test_a_stored_file_of_other_content_is_not_believed(
    sending: Sending, size: int | None, digest: str | None
) -> None:
    sending.asked(Verb.OPEN)
    sending.answer(STORED, size=size, sha256=digest)
    sending.anew()
    sending.send_all()
    sending.finish()
    assert (sending.ending.result, sending.ending.sent) == (Result.STORED, 35)


def test_an_older_file_is_kept_at_once(sending: Sending) -> None:
    sending.asked(Verb.OPEN)
    sending.answer(TransferState.KEPT)
    assert sending.ending.result is Result.KEPT
    assert sending.ending.error is None


def test_an_older_file_is_kept_in_the_end(sending: Sending) -> None:
    sending.open()
    sending.send_all()
    sending.finish(TransferState.KEPT)
    assert sending.ending.result is Result.KEPT


def test_verifying_is_asked_for_after_growing_pauses(sending: Sending) -> None:
    sending.open()
    sending.send_all()
    pauses = []
    for _ in range(6):
        sending.finish(TransferState.VERIFYING)
        assert sending.meter.snapshot().phase is Phase.VERIFYING
        assert sending.ask() is None
        due = sending.job.due()
        assert due is not None
        pauses.append(due - sending.now)
        sending.now = due
    sending.finish()
    assert pauses[0] == pytest.approx(FIRST_PAUSE)
    assert pauses == sorted(pauses)
    assert pauses[-1] == pytest.approx(LONGEST_PAUSE)
    assert sending.ending.result is Result.STORED


def test_an_open_that_finds_it_verifying_goes_on_with_that(sending: Sending) -> None:
    sending.asked(Verb.OPEN)
    sending.answer(TransferState.VERIFYING, held=[(0, 35)])
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_what_turns_out_to_be_missing_is_sent(sending: Sending) -> None:
    sending.open()
    sending.send_all()
    sending.finish(TransferState.RECEIVING, held=[(0, 10), (20, 35)])
    assert sending.segments() == [SEGMENTS[1]]
    assert sending.meter.snapshot().done == 25
    sending.acknowledge()
    sending.finish()
    assert (sending.ending.result, sending.ending.sent) == (Result.STORED, 45)


def test_what_was_damaged_is_sent_again(sending: Sending) -> None:
    sending.open()
    sending.send_all()
    sending.finish(TransferState.MISMATCH, damaged=((5, 10), (30, 35)))
    assert sending.segments() == [(5, CONTENT[5:10]), (30, CONTENT[30:])]
    sending.acknowledge()
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_a_service_that_loses_everything_again_and_again(sending: Sending) -> None:
    sending.open((0, 35))
    for _ in range(MAX_ROUNDS):
        sending.finish(TransferState.RECEIVING, held=[(0, 35)])
    sending.asked(Verb.FINISH)
    with pytest.raises(MalformedAnswerError, match="again and again"):
        sending.answer(TransferState.RECEIVING, held=[(0, 35)])


def test_a_mismatch_without_damage_begins_anew_once(sending: Sending) -> None:
    sending.open((0, 20))
    sending.send_all()
    sending.finish(TransferState.MISMATCH)
    sending.anew()
    assert sending.segments() == SEGMENTS
    sending.acknowledge()
    sending.asked(Verb.FINISH)
    with pytest.raises(SourceChangedError, match="'n' was written to"):
        sending.answer(TransferState.MISMATCH)


def test_a_part_of_another_content_is_dropped_once(sending: Sending) -> None:
    sending.open((0, 10))
    assert len(sending.segments()) == 3
    sending.refuse(ErrorCode.OTHER_BYTES, number=1)
    assert sending.ask() is None, "first all answers have to come"
    sending.answer()
    sending.refuse(ErrorCode.OTHER_BYTES)
    sending.anew()
    assert sending.segments() == SEGMENTS
    sending.acknowledge()
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_other_bytes_twice_mean_that_the_source_changed(sending: Sending) -> None:
    sending.open()
    sending.segments()
    sending.refuse(ErrorCode.OTHER_BYTES)
    sending.acknowledge()
    sending.anew()
    sending.segments()
    sending.refuse(ErrorCode.OTHER_BYTES)
    assert isinstance(sending.ending.error, SourceChangedError)


def test_what_an_earlier_call_sent_counts_no_more_when_it_was_dropped(sending: Sending) -> None:
    sending.open((0, 20))
    sending.segments()
    sending.refuse(ErrorCode.OTHER_BYTES)
    sending.acknowledge()
    sending.anew()
    sending.send_all()
    sending.finish()
    assert sending.ending.resumed == 0


def test_an_id_that_is_in_use_is_freed_once(sending: Sending) -> None:
    sending.asked(Verb.OPEN)
    sending.refuse(ErrorCode.OTHER_METADATA)
    sending.asked(Verb.ABORT)
    sending.done()
    sending.asked(Verb.OPEN)
    sending.refuse(ErrorCode.OTHER_METADATA)
    assert isinstance(sending.ending.error, RefusedError)
    assert sending.ending.error.means(ErrorCode.OTHER_METADATA)


def test_a_file_that_is_unknown_is_opened_again(sending: Sending) -> None:
    sending.open()
    sending.segments()
    sending.answer()
    sending.refuse(ErrorCode.UNKNOWN_TRANSFER)
    assert sending.ask() is None, "first all answers have to come"
    sending.refuse(ErrorCode.UNKNOWN_TRANSFER)
    sending.answer()
    sending.open((0, 10))
    assert sending.segments() == SEGMENTS[1:]
    sending.acknowledge()
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_an_abort_of_what_is_unknown_is_done(sending: Sending) -> None:
    sending.asked(Verb.OPEN)
    sending.refuse(ErrorCode.OTHER_METADATA)
    sending.asked(Verb.ABORT)
    sending.refuse(ErrorCode.UNKNOWN_TRANSFER)
    sending.open()
    sending.send_all()
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_a_service_that_never_knows_a_file(sending: Sending) -> None:
    for _ in range(MAX_ROUNDS + 1):
        sending.open()
        sending.segments(room=0)
        sending.refuse(ErrorCode.UNKNOWN_TRANSFER)
    assert isinstance(sending.ending.error, MalformedAnswerError)
    assert isinstance(sending.ending.error.__cause__, RefusedError)


@pytest.mark.parametrize("code", [ErrorCode.STORAGE_FULL, ErrorCode.EXISTS, ErrorCode.UNSAFE_NAME])
def test_other_errors_end_the_job(sending: Sending, code: ErrorCode) -> None:
    sending.open()
    sending.segments()
    sending.refuse(code)
    assert sending.ending.result is Result.FAILED
    assert isinstance(sending.ending.error, RefusedError)
    assert sending.job.finished
    assert sending.ask() is None


def test_a_service_that_moved_is_asked_how_far_it_is(sending: Sending) -> None:
    sending.open()
    sending.segments(room=30)
    sending.answer(durable=((0, 10),))
    sending.answer()
    sending.move()
    sending.open((0, 10), durable=((0, 10),))
    assert sending.meter.snapshot().done == 10
    assert sending.segments() == SEGMENTS[1:]
    sending.acknowledge()
    sending.finish()
    # What was on its way when the service moved travelled twice.
    assert (sending.ending.result, sending.ending.sent) == (Result.STORED, 55)
    assert sending.ending.resumed == 0


@pytest.mark.parametrize("before", ["opening", "aborting", "verifying"])
def test_a_service_that_moved_at_other_times(sending: Sending, before: str) -> None:
    if before == "opening":
        sending.asked(Verb.OPEN)
        sending.move()
        sending.open()
    elif before == "aborting":
        sending.asked(Verb.OPEN)
        sending.refuse(ErrorCode.OTHER_METADATA)
        sending.asked(Verb.ABORT)
        sending.move()
        sending.anew()
    else:
        sending.open()
        sending.send_all()
        sending.finish(TransferState.VERIFYING)
        sending.move()
        sending.open()
    sending.send_all()
    sending.finish()
    assert sending.ending.result is Result.STORED


def test_a_file_that_was_stored_just_before_the_service_moved(sending: Sending) -> None:
    sending.open()
    sending.send_all()
    sending.asked(Verb.FINISH)
    sending.move()
    sending.asked(Verb.OPEN)
    sending.answer(STORED, size=35, sha256=sha256(CONTENT))
    assert sending.ask() is None
    assert (sending.ending.result, sending.ending.sent) == (Result.STORED, 35)


def test_a_file_that_changes_is_not_finished(sending: Sending, path: Path) -> None:
    sending.open()
    sending.send_all()
    path.write_bytes(CONTENT + b"more")
    with pytest.raises(SourceChangedError, match="has 39 now"):
        sending.ask()


def test_a_file_that_gets_short_cannot_be_read(sending: Sending, path: Path) -> None:
    sending.open()
    path.write_bytes(b"short")
    ask = sending.ask()
    assert ask is not None
    with pytest.raises(SourceChangedError, match="ended after 5 bytes"):
        ask.parcel()


def test_a_damaged_answer_changes_nothing(sending: Sending) -> None:
    sending.open()
    assert len(sending.segments()) == 4
    answer = encode(sending.request)
    damaged = Parcel(answer.fields, b"damaged")
    with pytest.raises(RefusedError) as raised:
        sending.job.answered(sending.waiting[0], damaged, 0.0)
    assert raised.value.means(ErrorCode.CORRUPT)
    sending.acknowledge()
    sending.finish()
    assert sending.ending.sent == 35


def test_a_job_that_is_given_up_ends_once(sending: Sending) -> None:
    sending.open()
    sending.segments()
    error = LookupError("enough")
    sending.job.failed(error)
    sending.job.failed(LookupError("again"))
    assert sending.ending.error is error
    assert sending.ending.result is Result.FAILED
    assert sending.meter.snapshot().files_done == 1


def test_segments_are_read_again_when_they_are_sent_again(sending: Sending) -> None:
    sending.open()
    ask = sending.ask()
    assert ask is not None
    first, second = ask.parcel(), ask.parcel()
    assert first == second
    assert bytes(second.payload) == CONTENT[:10]
