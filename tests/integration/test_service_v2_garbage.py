"""Requests of version 2 that no honest client sends: all are answered, and the service lives on."""

import json
import random
import uuid
from collections.abc import Iterator, Mapping, Sequence

import pytest
from dxlclient.client import DxlClient
from dxlclient.message import ErrorResponse, Response

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import (
    AbortRequest,
    BatchAnswer,
    BatchEntry,
    BatchRequest,
    FinishRequest,
    HelloRequest,
    ListRequest,
    Message,
    OpenRequest,
    RemoveRequest,
    RetrieveRequest,
    SegmentRequest,
    StatRequest,
    StatusRequest,
    TransferState,
)
from dxlfiletransferclient.protocol.parcels import CHECK, DIGEST, Parcel, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import STORE_VERBS, Verb
from tests.integration.verbclient import VerbClient, parcel_in, refusal_in, sha256
from tests.services import Service

CONTENT = b"the content"
FILE_ID = "garbage"

VALID: Mapping[Verb, Message] = {
    Verb.HELLO: HelloRequest(),
    Verb.OPEN: OpenRequest(
        file_id=FILE_ID, name="garbage/file", size=len(CONTENT), modified_ns=1, executable=True
    ),
    Verb.SEGMENT: SegmentRequest(file_id=FILE_ID, offset=0, payload=CONTENT),
    Verb.STATUS: StatusRequest(file_id=FILE_ID, flush=True),
    Verb.FINISH: FinishRequest(file_id=FILE_ID, size=len(CONTENT), sha256=sha256(CONTENT)),
    Verb.ABORT: AbortRequest(file_id=FILE_ID, reason="garbage"),
    Verb.BATCH: BatchRequest(
        entries=(BatchEntry(name="garbage/entry", payload=CONTENT, sha256=sha256(CONTENT)),)
    ),
    Verb.RETRIEVE: RetrieveRequest(name="garbage/kept", offset=0, length=5, version="1"),
    Verb.LIST: ListRequest(name="garbage", recursive=True, after="garbage/a", limit=3),
    Verb.STAT: StatRequest(name="garbage/kept", with_sha256=True),
    Verb.REMOVE: RemoveRequest(name="garbage/absent", recursive=True),
}
REQUIRED: Mapping[Verb, Sequence[str]] = {
    Verb.OPEN: ["file_id", "name"],
    Verb.SEGMENT: ["file_id", "offset"],
    Verb.STATUS: ["file_id"],
    Verb.FINISH: ["file_id", "size", "sha256"],
    Verb.ABORT: ["file_id"],
    Verb.RETRIEVE: ["name", "offset", "length"],
    Verb.STAT: ["name"],
    Verb.REMOVE: ["name"],
}

TEXTS = [
    *("", " ", "\0", "\n", "a\nb", "ü", "\u202e", "\U0001f600"),
    *("null", "[]", "{}", "%s", "x" * 9000),
]
NUMBERS = [
    *("-1", "+1", " 1", "1.5", "1e3", "0x10", "1_0", "٣", "NaN"),
    *("9" * 19, "9" * 21, "9" * 4000),
]
HUGE = [str(2**31), str(2**63 - 1), str(2**63), str(2**64 - 1)]
UNSAFE_NAMES = [
    "",
    ".",
    "..",
    "/",
    "/etc/passwd",
    "../out",
    "a/../..",
    "a/\0",
    "ü" * 128,
    "x" * 256,
    "a/" * 3000 + "a",
    ".workdir/x",
]
OFTEN_BAD = {
    "file_id": ["..", "a/b", "x" * 65, "é", "a b", "a\n"],
    "name": UNSAFE_NAMES,
    "sha256": ["0" * 63, "z" * 64, "A" * 64],
    "overwrite": ["REPLACE", "always"],
    "size": ["-1", "9" * 19],
    "offset": ["-1", "9" * 19],
    "length": ["0", "-1", "1040385"],
    "limit": ["0", "1001"],
    "modified_ns": [str(-(2**63) - 1)],
    "executable": ["2", "true"],
    "flush": ["2", "true"],
    "recursive": ["2", "true"],
    "with_sha256": ["2", "true"],
}
ROUNDS = 60
"""Requests at random for each verb."""


@pytest.fixture
def verbs(service: Service, dxl_client: DxlClient) -> Iterator[VerbClient]:
    """Asks the shared service, which has to be as well afterwards as it was before."""
    asking = VerbClient(dxl_client, service.topic)
    asking.put("garbage/kept", b"kept")
    outside = sorted(service.storage.parent.iterdir())
    logged = len(service.process.errors)
    yield asking
    asking.send(Verb.ABORT, encode(AbortRequest(file_id=FILE_ID)))
    assert sorted(service.storage.parent.iterdir()) == outside
    assert (service.storage / "garbage" / "kept").read_bytes() == b"kept"
    assert "Traceback" not in service.process.errors[logged:]
    file_id, content = uuid.uuid4().hex, random.Random(1).randbytes(10_000)
    asking.open(file_id, f"garbage/{file_id}", len(content))
    asking.segment(file_id, 0, content)
    assert asking.finish(file_id, content).state == TransferState.STORED


def fields_of(verb: Verb) -> dict[str, str]:
    """The fields of a valid request, without the seals."""
    fields = encode(VALID[verb]).fields
    return {name: value for name, value in fields.items() if name not in (DIGEST, CHECK)}


def payload_of(verb: Verb) -> bytes:
    return bytes(encode(VALID[verb]).payload)


def checked(service: Service, response: Response) -> RefusedError | None:
    """The error in an answer, if it is one, after a look whether it is one that may be."""
    if not isinstance(response, ErrorResponse):
        return None
    error = refusal_in(response)
    known = ErrorCode.of(error.code)
    assert known not in (None, ErrorCode.INTERNAL, ErrorCode.NO_SERVICE), error
    assert str(service.storage) not in error.message
    assert error.message.isprintable()
    assert error.message
    return error


@pytest.mark.parametrize("verb", [verb for verb in sorted(STORE_VERBS) if fields_of(verb)])
def test_garbage_in_any_field_is_answered(service: Service, verbs: VerbClient, verb: Verb) -> None:
    for name in fields_of(verb):
        for garbage in (*TEXTS, *NUMBERS, *HUGE, *OFTEN_BAD.get(name, ())):
            parcel = sealed({**fields_of(verb), name: garbage}, payload_of(verb))
            checked(service, verbs.send(verb, parcel))


@pytest.mark.parametrize("verb", [verb for verb in sorted(STORE_VERBS) if fields_of(verb)])
def test_what_can_never_be_right_is_refused(
    service: Service, verbs: VerbClient, verb: Verb
) -> None:
    for name in fields_of(verb):
        for garbage in OFTEN_BAD.get(name, ()):
            if verb in (Verb.LIST, Verb.STAT) and garbage in ("", "."):
                continue  # the storage directory itself
            parcel = sealed({**fields_of(verb), name: garbage}, payload_of(verb))
            assert checked(service, verbs.send(verb, parcel)), (name, garbage)


@pytest.mark.parametrize(
    ("verb", "missing"), [(verb, name) for verb, names in REQUIRED.items() for name in names]
)
def test_a_missing_field_is_refused(
    service: Service, verbs: VerbClient, verb: Verb, missing: str
) -> None:
    fields = fields_of(verb)
    del fields[missing]
    error = checked(service, verbs.send(verb, sealed(fields, payload_of(verb))))
    assert error is not None
    assert error.means(ErrorCode.INVALID)
    assert missing in error.message


@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_what_was_damaged_on_its_way_is_told_apart(
    service: Service, verbs: VerbClient, verb: Verb
) -> None:
    whole = encode(VALID[verb])
    payload = bytes(whole.payload)
    damaged = [
        Parcel({**whole.fields, "added": "field"}, payload),
        Parcel({**whole.fields, DIGEST: "0" * 32}, payload),
        Parcel({**whole.fields, CHECK: "0" * 32}, payload),
        Parcel({name: value for name, value in whole.fields.items() if name != CHECK}, payload),
        Parcel(whole.fields, payload + b"x"),
        Parcel({}, payload),
    ]
    for parcel in damaged:
        error = checked(service, verbs.send(verb, parcel))
        assert error is not None
        assert error.means(ErrorCode.CORRUPT)


@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_a_payload_that_is_no_bytes_is_refused(
    service: Service, verbs: VerbClient, verb: Verb
) -> None:
    for garbage in (7, [b"x"], {b"x": 1}, True, 1.5):
        parcel = Parcel(encode(VALID[verb]).fields, garbage)  # type: ignore[arg-type]
        error = checked(service, verbs.send(verb, parcel))
        assert error is not None
        assert error.means(ErrorCode.INVALID)


@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_fields_of_later_revisions_are_ignored(
    service: Service, verbs: VerbClient, verb: Verb
) -> None:
    codes = []
    for more in ({}, {"later": "field"}):
        parcel = sealed({**fields_of(verb), **more}, payload_of(verb))
        error = checked(service, verbs.send(verb, parcel))
        codes.append(error and error.code)
    assert codes[0] == codes[1]
    assert codes[0] != ErrorCode.INVALID


BATCHES = [
    b"",
    b"\0\0\0",
    b"\0\0\0\0",
    b"\xff\xff\xff\xff[]",
    b"\0\0\0\2[]",
    b"\0\0\0\2{}",
    b"\0\0\0\4null",
    b"\0\0\0\1[",
    b"\0\0\0\4[{}]",
    b"\0\0\0\4[17]",
    b"\0\0\0\2\xff\xfe",
    b"\0\0\x27\x10" + b"[" * 10_000,
]


def test_broken_batches_are_refused(service: Service, verbs: VerbClient) -> None:
    headers = [
        b'[{"name":"garbage/a","sha256":"' + b"0" * 64 + b'","length":99}]',
        b'[{"name":"garbage/a","sha256":"' + b"0" * 64 + b'","length":-1}]',
        b'[{"name":"garbage/a","sha256":"' + b"0" * 64 + b'","length":1e3}]',
        b'[{"name":"garbage/a","length":0}]',
        b'[{"name":17,"sha256":"' + b"0" * 64 + b'"}]',
        b'[{"name":"garbage/a","kind":"device"}]',
        b'[{"name":"garbage/a","kind":"link"}]',
        b'[{"name":"garbage/a","kind":"directory","modified_ns":"soon"}]',
        b'[{"name":"garbage/a","kind":"directory","modified_ns":' + b"9" * 30 + b"}]",
        b"[" + b",".join([b'{"name":"garbage/d","kind":"directory"}'] * 1001) + b"]",
    ]
    for payload in (*BATCHES, *(len(each).to_bytes(4, "big") + each for each in headers)):
        error = checked(service, verbs.send(Verb.BATCH, sealed({}, payload)))
        assert error is not None, payload
        assert error.means(ErrorCode.INVALID), payload


def test_names_in_batches_are_as_safe_as_others(service: Service, verbs: VerbClient) -> None:
    names = [*(name for name in UNSAFE_NAMES if name not in ("", ".")), "\ud800"]
    header = json.dumps([{"kind": "directory", "name": name} for name in names]).encode()
    response = verbs.send(Verb.BATCH, sealed({}, len(header).to_bytes(4, "big") + header))
    assert checked(service, response) is None
    results = decode(BatchAnswer, parcel_in(response)).results
    assert [each.code for each in results] == [ErrorCode.UNSAFE_NAME] * len(names)
    assert all(each.text and each.text.isprintable() for each in results)


@pytest.mark.parametrize("verb", sorted(STORE_VERBS))
def test_requests_at_random_are_answered(service: Service, verbs: VerbClient, verb: Verb) -> None:
    chance = random.Random(str(verb))
    every_field = sorted({name for each in STORE_VERBS for name in fields_of(each)})
    values = [*TEXTS, *NUMBERS, *HUGE, *UNSAFE_NAMES, FILE_ID, "garbage", "0", "1", "17", "0-5,7-9"]
    for _ in range(ROUNDS):
        fields = fields_of(verb)
        for _ in range(chance.randrange(4)):
            fields.pop(chance.choice(every_field), None)
        for _ in range(chance.randrange(1, 6)):
            fields[chance.choice(every_field)] = chance.choice(values)
        payload = chance.choice([payload_of(verb), b"", chance.randbytes(chance.randrange(3000))])
        if verb is Verb.REMOVE:
            fields["name"] = "garbage/absent"
        checked(service, verbs.send(verb, sealed(fields, payload)))


def test_long_and_strange_names_that_are_safe_are_kept(service: Service, verbs: VerbClient) -> None:
    names = ["x" * 255, "ü" * 127, " blank ", "-rf", "日本語", "a.b.c"]
    for name in names:
        path = f"garbage/strange/{name}"
        verbs.put(path, name.encode())
        assert (service.storage / path).read_bytes() == name.encode()
        file_id = uuid.uuid4().hex
        verbs.open(file_id, path, 3)
        verbs.segment(file_id, 0, b"new")
        assert verbs.finish(file_id, b"new").state == TransferState.STORED
        assert (service.storage / path).read_bytes() == b"new"
