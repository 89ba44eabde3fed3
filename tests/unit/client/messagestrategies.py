"""Hypothesis strategies for every message of version 2."""

import hashlib
from typing import get_args

from hypothesis import strategies as st

from dxlfiletransferclient.intervals import IntervalSet, Ranges
from dxlfiletransferclient.protocol import messages, sessions
from dxlfiletransferclient.protocol.limits import MAX_PAGE_ENTRIES, SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import Kind, Message, Overwrite, TransferState

KINDS: tuple[type[Message], ...] = get_args(Message)

texts = st.text(max_size=20)
file_ids = st.from_regex(r"[A-Za-z0-9_-]{1,64}", fullmatch=True)
sizes = st.integers(0, 2**63 - 1)
times = st.integers(-(2**63), 2**63 - 1)
payloads = st.binary(max_size=64)
segments = st.binary(min_size=1, max_size=64)
digests = st.binary().map(lambda data: hashlib.sha256(data).hexdigest())
segment_sizes = st.integers(1, SEGMENT_SIZE)
windows = st.integers(1, 2**40)
ids = st.from_regex(r"[0-9a-f]{32}", fullmatch=True)
numbers = st.integers(1, sessions.MAX_NUMBER)
overwrites = st.sampled_from(Overwrite)
states = st.sampled_from(TransferState)


def _joined(pairs: list[tuple[int, int]]) -> Ranges:
    return IntervalSet((start, start + length) for start, length in pairs).ranges


ranges = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50)), max_size=20).map(_joined)

files_of_a_batch = payloads.flatmap(
    lambda payload: st.builds(
        messages.BatchEntry,
        name=texts,
        payload=st.just(payload),
        sha256=st.just(hashlib.sha256(payload).hexdigest()),
        modified_ns=st.none() | times,
        executable=st.booleans(),
        overwrite=overwrites,
    )
)
directories_of_a_batch = st.builds(
    messages.BatchEntry,
    kind=st.just(Kind.DIRECTORY),
    name=texts,
    modified_ns=st.none() | times,
    overwrite=overwrites,
)
links_of_a_batch = st.builds(
    messages.BatchEntry,
    kind=st.just(Kind.LINK),
    name=texts,
    target=st.text(min_size=1, max_size=20),
    overwrite=overwrites,
)
batch_entries = files_of_a_batch | directories_of_a_batch | links_of_a_batch
entry_results = st.builds(messages.EntryResult, state=states) | st.builds(
    messages.EntryResult, code=st.integers(0, 2**32), text=st.none() | texts
)
entries = st.builds(
    messages.Entry,
    name=texts,
    kind=st.sampled_from(Kind),
    size=sizes,
    modified_ns=times,
    executable=st.booleans(),
    version=texts,
    target=st.none() | texts,
)

BY_KIND: dict[type[Message], st.SearchStrategy[Message]] = {
    messages.HelloRequest: st.builds(messages.HelloRequest),
    messages.HelloAnswer: st.builds(
        messages.HelloAnswer,
        revision=st.integers(0, 100),
        store_id=texts,
        segment_size=segment_sizes,
        window=windows,
        verbs=texts,
        public_key=st.none() | texts,
        server_uid=st.none() | texts,
        server_name=st.none() | texts,
    ),
    messages.OpenRequest: st.builds(
        messages.OpenRequest,
        file_id=file_ids,
        name=texts,
        size=st.none() | sizes,
        modified_ns=st.none() | times,
        executable=st.booleans(),
        overwrite=overwrites,
    ),
    messages.SegmentRequest: st.builds(
        messages.SegmentRequest,
        file_id=file_ids,
        offset=st.integers(0, 2**60),
        payload=segments,
    ),
    messages.StatusRequest: st.builds(
        messages.StatusRequest, file_id=file_ids, flush=st.booleans()
    ),
    messages.FinishRequest: st.builds(
        messages.FinishRequest, file_id=file_ids, size=sizes, sha256=digests
    ),
    messages.AbortRequest: st.builds(messages.AbortRequest, file_id=file_ids, reason=texts),
    messages.DoneAnswer: st.builds(messages.DoneAnswer),
    messages.TransferAnswer: st.builds(
        messages.TransferAnswer,
        state=states,
        held=ranges,
        durable=ranges,
        segment_size=segment_sizes,
        window=windows,
        size=st.none() | sizes,
        sha256=st.none() | digests,
        version=st.none() | texts,
        damaged=ranges,
    ),
    messages.BatchEntry: batch_entries,
    messages.BatchRequest: st.builds(
        messages.BatchRequest,
        entries=st.lists(batch_entries, min_size=1, max_size=5).map(tuple),
    ),
    messages.EntryResult: entry_results,
    messages.BatchAnswer: st.builds(
        messages.BatchAnswer, results=st.lists(entry_results, max_size=5).map(tuple)
    ),
    messages.RetrieveRequest: st.builds(
        messages.RetrieveRequest,
        name=texts,
        offset=sizes,
        length=segment_sizes,
        version=st.none() | texts,
    ),
    messages.RetrieveAnswer: st.builds(
        messages.RetrieveAnswer,
        offset=sizes,
        size=sizes,
        version=texts,
        payload=payloads,
        sha256=st.none() | digests,
    ),
    messages.Entry: entries,
    messages.ListRequest: st.builds(
        messages.ListRequest,
        name=texts,
        recursive=st.booleans(),
        after=texts,
        limit=st.integers(1, MAX_PAGE_ENTRIES),
    ),
    messages.ListAnswer: st.builds(
        messages.ListAnswer,
        entries=st.lists(entries, max_size=5).map(tuple),
        next=st.none() | texts,
    ),
    messages.StatRequest: st.builds(messages.StatRequest, name=texts, with_sha256=st.booleans()),
    messages.StatAnswer: st.builds(
        messages.StatAnswer,
        entry=st.tuples(entries),
        sha256=st.none() | digests,
        pending=st.booleans(),
    ),
    messages.RemoveRequest: st.builds(messages.RemoveRequest, name=texts, recursive=st.booleans()),
    messages.RemoveAnswer: st.builds(
        messages.RemoveAnswer, removed=st.integers(0, 10**9), more=st.booleans()
    ),
    messages.RefusalAnswer: st.builds(
        messages.RefusalAnswer,
        code=st.integers(0, 2**32),
        text=texts,
        retry_after_ms=st.none() | st.integers(0, 10**9),
    ),
    sessions.AdmitRequest: st.builds(sessions.AdmitRequest, payload=payloads),
    sessions.AdmitAnswer: st.builds(sessions.AdmitAnswer, payload=payloads),
    sessions.SealedRequest: st.builds(
        sessions.SealedRequest,
        session=ids,
        number=numbers,
        inner=st.none() | texts,
        tag=st.none() | ids,
        payload=payloads,
    ),
    sessions.SealedAnswer: st.builds(
        sessions.SealedAnswer,
        number=numbers,
        inner=st.none() | texts,
        tag=st.none() | ids,
        payload=payloads,
    ),
    sessions.CallRequest: st.builds(
        sessions.CallRequest, call_id=ids, command=texts, payload=payloads
    ),
    sessions.CallAnswer: st.builds(sessions.CallAnswer, failed=st.booleans(), payload=payloads),
    sessions.LeaveRequest: st.builds(
        sessions.LeaveRequest, outcome=st.sampled_from(sessions.Outcome), text=texts
    ),
}
"""How to make a message of each class."""

anything = st.sampled_from(KINDS).flatmap(lambda kind: BY_KIND[kind])
