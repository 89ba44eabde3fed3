"""Small files on their way into messages, and the conversation about one batch."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.errors import MalformedAnswerError
from dxlfiletransferclient.exchange.jobs import Ask
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.limits import MAX_BATCH_ENTRIES, MAX_PAYLOAD
from dxlfiletransferclient.protocol.messages import (
    BatchAnswer,
    BatchEntry,
    BatchRequest,
    EntryResult,
    Kind,
    Overwrite,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sending.batching import LEAST_PAYLOAD, Batch, Batcher
from dxlfiletransferclient.sending.batchjob import BatchJob
from dxlfiletransferclient.sending.pacing import ENTRY_PAUSE, MAX_ENTRY_REPEATS
from dxlfiletransferclient.sending.scan import Item
from tests.unit.client.fabric import sha256

STORED = EntryResult(state=TransferState.STORED)
BUSY = EntryResult(code=ErrorCode.BUSY, text="later")


def entry(name: str, content: bytes = b"", **more: object) -> tuple[Item, BatchEntry]:
    made = BatchEntry(name=name, payload=content, sha256=sha256(content), **more)  # type: ignore[arg-type]
    return Item(name, name, size=len(content)), made


def batch_of(*names: str) -> Batch:
    batcher = Batcher(MAX_PAYLOAD)
    for name in names:
        assert batcher.add(*entry(name, name.encode())) is None
    batch = batcher.take()
    assert batch is not None
    return batch


def encoded_size(batch: Batch) -> int:
    return len(encode(BatchRequest(entries=tuple(batch.entries))).payload)


def test_nothing_makes_no_batch() -> None:
    assert Batcher(MAX_PAYLOAD).take() is None


def test_a_batch_is_full_when_the_next_entry_does_not_fit() -> None:
    batcher = Batcher(LEAST_PAYLOAD)
    content = bytes(LEAST_PAYLOAD // 3 - 400)
    assert [batcher.add(*entry(name, content)) for name in "abc"] == [None] * 3
    full = batcher.add(*entry("d", content))
    assert full is not None
    assert [each.name for each in full.entries] == ["a", "b", "c"]
    assert [item.name for item in full.items] == ["a", "b", "c"]
    assert encoded_size(full) <= full.size <= LEAST_PAYLOAD
    rest = batcher.take()
    assert rest is not None
    assert [each.name for each in rest.entries] == ["d"]
    assert batcher.take() is None


def test_a_batch_has_so_many_entries_at_most() -> None:
    batcher = Batcher(MAX_PAYLOAD)
    full = [batcher.add(*entry(f"{number}")) for number in range(MAX_BATCH_ENTRIES + 1)]
    batch = full[-1]
    assert batch is not None
    assert full[:-1] == [None] * MAX_BATCH_ENTRIES
    assert len(batch.entries) == MAX_BATCH_ENTRIES


def test_a_file_at_the_limit_fits_into_one_message() -> None:
    batcher = Batcher(MAX_PAYLOAD)
    name = 'ä\n"' * 600
    content = bytes(batcher.content_limit(name))
    assert batcher.add(*entry(name, content)) is None
    batch = batcher.take()
    assert batch is not None
    assert encoded_size(batch) <= MAX_PAYLOAD


def test_a_batch_may_be_as_large_as_names_need() -> None:
    assert Batcher(1).content_limit("n") > LEAST_PAYLOAD - 1000
    assert Batcher(10 * MAX_PAYLOAD).content_limit("n") < MAX_PAYLOAD


@given(
    st.lists(
        st.tuples(
            st.text(max_size=300).filter(lambda text: text.isprintable() or len(text) < 50),
            st.binary(max_size=3000),
            st.integers(-(2**63), 2**63 - 1),
            st.booleans(),
            st.sampled_from(Overwrite),
            st.sampled_from(Kind),
        ),
        min_size=1,
        max_size=60,
    )
)
def test_batches_are_never_larger_than_they_say(
    files: list[tuple[str, bytes, int, bool, Overwrite, Kind]],
) -> None:
    batcher = Batcher(1)
    batches = []
    for name, content, modified_ns, executable, overwrite, kind in files:
        usual = kind is Kind.FILE
        made = BatchEntry(
            kind=kind,
            name=name,
            payload=content if usual else b"",
            sha256=sha256(content) if usual else None,
            target=name or "x" if kind is Kind.LINK else None,
            modified_ns=modified_ns,
            executable=executable,
            overwrite=overwrite,
        )
        batches.append(batcher.add(Item("p", name), made))
    batches.append(batcher.take())
    found = [batch for batch in batches if batch is not None]
    assert sum(len(batch.entries) for batch in found) == len(files)
    for batch in found:
        assert encoded_size(batch) <= batch.size <= LEAST_PAYLOAD


class Batching:
    """A job that sends a batch, played by hand."""

    def __init__(self, *names: str) -> None:
        self.batch = batch_of(*names)
        self.ended: list[tuple[int, EntryResult | BaseException, float]] = []
        self.job = BatchJob(self.batch, lambda *ended: self.ended.append(ended))
        self.now = 0.0

    def ask(self) -> Ask:
        ask = self.job.next(0, self.now)
        assert ask is not None
        assert ask.verb is Verb.BATCH
        return ask

    def names(self, ask: Ask) -> list[str]:
        return [each.name for each in decode(BatchRequest, ask.parcel()).entries]

    def answer(self, ask: Ask, *results: EntryResult) -> None:
        self.job.answered(ask, encode(BatchAnswer(results=results)), self.now)


def test_results_come_one_by_one() -> None:
    batching = Batching("a", "b", "c")
    ask = batching.ask()
    assert batching.names(ask) == ["a", "b", "c"]
    assert ask.cost == batching.batch.size
    assert batching.job.next(1000, 0.0) is None
    kept = EntryResult(state=TransferState.KEPT)
    failed = EntryResult(code=ErrorCode.UNSAFE_NAME, text="no")
    batching.now = 2.0
    batching.answer(ask, STORED, kept, failed)
    assert batching.job.finished
    assert batching.ended == [(0, STORED, 2.0), (1, kept, 2.0), (2, failed, 2.0)]


def test_it_is_the_same_message_however_often_it_is_sent() -> None:
    ask = Batching("a", "b").ask()
    assert ask.parcel() is ask.parcel()


def test_a_batch_is_sent_again_when_the_service_moved() -> None:
    batching = Batching("a", "b")
    batching.ask()
    batching.job.moved(1.0)
    ask = batching.ask()
    batching.answer(ask, STORED, STORED)
    assert batching.job.finished


def test_entries_that_could_not_be_taken_are_sent_again_by_themselves() -> None:
    batching = Batching("a", "b", "c")
    batching.answer(batching.ask(), BUSY, STORED, BUSY)
    assert [number for number, _, _ in batching.ended] == [1]
    assert batching.job.due() == ENTRY_PAUSE
    assert batching.job.next(1000, 0.0) is None
    batching.now = ENTRY_PAUSE
    ask = batching.ask()
    assert batching.names(ask) == ["a", "c"]
    batching.answer(ask, STORED, BUSY)
    batching.now += 2 * ENTRY_PAUSE
    ask = batching.ask()
    assert batching.names(ask) == ["c"]
    batching.answer(ask, STORED)
    assert [(number, result) for number, result, _ in batching.ended] == [
        (1, STORED),
        (0, STORED),
        (2, STORED),
    ]
    assert batching.job.finished


def test_entries_that_are_never_taken_fail_in_the_end() -> None:
    batching = Batching("a")
    for _ in range(MAX_ENTRY_REPEATS):
        batching.answer(batching.ask(), BUSY)
        batching.now = batching.job.due() or 0.0
    assert batching.ended == []
    batching.answer(batching.ask(), BUSY)
    assert [(number, result) for number, result, _ in batching.ended] == [(0, BUSY)]
    assert batching.job.finished


def test_a_refused_batch_fails_as_a_whole() -> None:
    batching = Batching("a", "b")
    error = RefusedError(ErrorCode.INTERNAL, "broken")
    with pytest.raises(RefusedError):
        batching.job.refused(batching.ask(), error, 0.0)
    batching.job.failed(error)
    batching.job.failed(error)
    assert [(number, result) for number, result, _ in batching.ended] == [(0, error), (1, error)]
    assert batching.job.finished
    assert batching.job.next(1000, 0.0) is None


def test_too_few_results_are_no_answer() -> None:
    batching = Batching("a", "b")
    with pytest.raises(MalformedAnswerError, match="1 results to 2 entries"):
        batching.answer(batching.ask(), STORED)
    assert batching.ended == []


def test_a_damaged_answer_changes_nothing() -> None:
    batching = Batching("a")
    ask = batching.ask()
    answer = encode(BatchAnswer(results=(STORED,)))
    damaged = Parcel(answer.fields, json.dumps([{"state": "kept"}]).encode())
    with pytest.raises(RefusedError) as raised:
        batching.job.answered(ask, damaged, 0.0)
    assert raised.value.means(ErrorCode.CORRUPT)
    batching.answer(ask, STORED)
    assert batching.job.finished


@given(st.text())
def test_a_name_takes_as_much_as_its_json(name: str) -> None:
    room = Batcher(MAX_PAYLOAD).content_limit("") + 2
    quoted = json.dumps(name, ensure_ascii=False)
    assert Batcher(MAX_PAYLOAD).content_limit(name) == room - len(quoted.encode())
