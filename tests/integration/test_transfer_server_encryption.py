"""Transfers through a broker that is not trusted: what it reads, and what it can do."""

import hashlib
import json
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest

from dxlfabric.certificates import Provisioned
from dxlfiletransferclient.constants import DEFAULT_STORE_TOPIC
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import BatchRequest, Kind
from dxlfiletransferclient.protocol.parcels import sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.keys import PrivateKey
from jetstream.apiinterface import APIInterface
from tests.fabric import Fabric
from tests.integration.transferstage import (
    HOST,
    KIBIBYTE,
    PASSWORD,
    USER,
    Settings,
    StagedServer,
    TransferStage,
    staged,
)
from tests.integration.untrusted import Meddling, Passing, Wiretap, untrusted_fabric
from tests.services import Services
from tests.waiting import wait_until

CONTENT: Final = b"nobody is to read this. "
"""What the files are made of."""

NAME: Final = "confidential-name"
"""Part of the names of all files and directories."""

LARGE: Final = 3 * 2**20
"""Bytes of the largest file: some segments."""


class JoinedServer(StagedServer):
    """A transfer server on a fabric that is not its own."""

    fabric: Fabric

    def join(self, fabric: Fabric, settings: Settings | None = None) -> "JoinedServer":
        """Start it on a fabric, again with other settings if it runs."""
        self.fabric = fabric
        self.port = fabric.broker.port
        directory = self.home.joined_service
        directory.mkdir(parents=True, exist_ok=True)
        sections = {"General": {"storageDir": self.storage}, **(settings or {})}
        lines = [
            line
            for section, values in sections.items()
            for line in (f"[{section}]", *(f"{key}={value}" for key, value in values.items()))
        ]
        (directory / "dxlfiletransferservice.config").write_text("\n".join(lines))
        certificates = fabric.write_configuration(self.home.path / "fabric.config", as_service=True)
        command = ("-m", "dxlfiletransferservice.command", "server", "--home", self.home.path)
        self.process = self._processes.start_python(*command, "--config", certificates)
        self._logs.append(self.process)
        self.process.wait_for_line("ready")
        return self

    @property
    def configuration(self) -> Path:
        return self.fabric.write_configuration(self.home.path / "client.config")


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferStage]:
    with staged(tmp_path_factory.mktemp("encryption")) as made:
        yield made


@pytest.fixture(scope="module")
def untrusted(provisioned: Provisioned) -> Iterator[tuple[Fabric, Wiretap]]:
    with untrusted_fabric(provisioned) as made:
        yield made


@pytest.fixture
def tap(untrusted: tuple[Fabric, Wiretap]) -> Iterator[Wiretap]:
    _, made = untrusted
    made.clear()
    yield made
    made.clear()


@pytest.fixture(scope="module")
def receiver(stage: TransferStage, untrusted: tuple[Fabric, Wiretap]) -> StagedServer:
    """A server on the fabric of the broker that is not trusted."""
    made = JoinedServer(stage.processes, stage.sources / "receiver")
    stage.keep(made)
    made.add_users()
    return made.join(untrusted[0])


@pytest.fixture(scope="module")
def sender(stage: TransferStage, receiver: StagedServer) -> StagedServer:
    """A server on a fabric of its own, which sends through that broker."""
    made = stage.server("sender", start=False)
    made.knows(receiver)
    return made.start()


@pytest.fixture(scope="module")
def api(sender: StagedServer) -> APIInterface:
    return sender.logged_on()


@dataclass(frozen=True)
class Sources:
    """The files that are sent."""

    manifest: str
    contents: dict[str, bytes]


def sources_of(stage: TransferStage, api: APIInterface, sizes: Sequence[int]) -> Sources:
    """Make files of these sizes, which say something to whoever reads them."""
    contents = {}
    for number, size in enumerate(sizes):
        path = stage.sources / f"{NAME}-{len(sizes)}" / f"{NAME}-{number}"
        path.parent.mkdir(exist_ok=True)
        # Each place looks different, so that none can be exchanged for another.
        words = (CONTENT + b"%d. " % place for place in range(size // len(CONTENT) + 1))
        contents[path.name] = b"".join(words)[:size]
        path.write_bytes(contents[path.name])
    made = api.send.createManifest(mappings={f"/{NAME}": str(path.parent)})
    made = api.send.waitForManifest(made)
    assert made["status"] == "complete", made["errorMessage"]
    return Sources(str(made["manifestId"]), contents)


@pytest.fixture(scope="module")
def sources(stage: TransferStage, api: APIInterface) -> Sources:
    return sources_of(stage, api, [LARGE, 700 * KIBIBYTE, *[KIBIBYTE] * 20, 0])


@pytest.fixture(scope="module")
def few(stage: TransferStage, api: APIInterface) -> Sources:
    return sources_of(stage, api, [LARGE, KIBIBYTE])


def send(
    api: APIInterface,
    port: int,
    manifest: str,
    path: str,
    *,
    key: str | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Send somewhere that nothing is known of yet, and return what became of it."""
    made = api.send.createDestination(
        HOST, destinationPort=port, destinationPublicKey=key, exclusive=True
    )
    transfer = api.send.createTransfer(made, manifest, destinationPath=path, **options)
    return dict(api.send.waitForTransfer(transfer))


def arrived(server: StagedServer, path: str) -> dict[str, bytes]:
    """Return the files that were stored somewhere, whole, by their names."""
    top = server.storage / path
    return {found.name: found.read_bytes() for found in top.rglob("*") if found.is_file()}


@pytest.mark.parametrize(
    ("cipher", "readable"), [(None, False), (0, True), (1, True), (2, False), (3, False)]
)
def test_what_a_broker_reads(
    api: APIInterface,
    receiver: StagedServer,
    tap: Wiretap,
    sources: Sources,
    cipher: int | None,
    readable: bool,
) -> None:
    path = f"read-{cipher}-{NAME}"
    credentials = {"userName": USER, "password": PASSWORD}
    ended = send(api, receiver.port, sources.manifest, path, minCipher=cipher, **credentials)
    assert ended["status"] == "complete", ended["errorMessage"]
    assert arrived(receiver, path) == sources.contents
    assert {Verb.ADMIT, Verb.SEALED} <= tap.verbs() <= {Verb.HELLO, Verb.ADMIT, Verb.SEALED}
    everything = tap.everything()
    assert (CONTENT in everything) is readable
    assert (NAME.encode() in everything) is readable
    # Who sends, and what he shows, is nobody's business whatever the cipher.
    assert PASSWORD.encode() not in everything
    assert USER.encode() not in everything


def test_what_a_broker_reads_of_calls(
    receiver: StagedServer, stage: TransferStage, tap: Wiretap
) -> None:
    source = stage.source(KIBIBYTE, f"{NAME}-of-a-call")
    remote = receiver.logged_on()
    made = remote.send.createManifest(mappings={NAME: str(source)})
    remote.send.waitForManifest(made)
    token = remote.send.createSharedToken(made)["token"]
    remote.disconnect()
    everything = tap.everything()
    for secret in (PASSWORD, USER, NAME, "createManifest", token.partition(".")[2]):
        assert secret.encode() not in everything
    assert Verb.SEALED in tap.verbs()


def flipped(payload: bytes, place: int) -> bytes:
    if not payload:
        return b"\x00"
    place %= len(payload)
    return payload[:place] + bytes([payload[place] ^ 1]) + payload[place + 1 :]


class Now:
    """Meddles now and then with sealed messages, and with each at most once."""

    def __init__(self, *, requests: bool, most: int = 12) -> None:
        self._chance = random.Random(1)
        self._requests = requests
        self._most = most
        self.done = 0

    def applies(self, passing: Passing) -> bool:
        """Whether it is the turn of a message."""
        if passing.verb != Verb.SEALED or passing.is_request is not self._requests:
            return False
        if self.done >= self._most or self._chance.random() > 1 / 2:
            return False
        self.done += 1
        return True

    def place(self) -> int:
        """A place in a message."""
        return self._chance.randrange(2**20)


def altering(now: Now, change: Callable[[Passing], Passing | None]) -> Meddling:
    """Let something else go on in place of a message; ``None`` for nothing."""

    def meddle(passing: Passing) -> Sequence[Passing]:
        if not now.applies(passing):
            return (passing,)
        changed = change(passing)
        return () if changed is None else (changed,)

    return meddle


def exchanging(now: Now, part: Callable[[Passing, Passing], Passing]) -> Meddling:
    """Let a message have something of the one before."""
    before: list[Passing] = []

    def meddle(passing: Passing) -> Sequence[Passing]:
        applies = bool(before) and now.applies(passing)
        changed = part(passing, before[-1]) if applies else passing
        if passing.verb == Verb.SEALED and passing.is_request == now._requests:
            before.append(passing)
        return (changed,)

    return meddle


def repeating(now: Now) -> Meddling:
    """Send messages twice."""

    def meddle(passing: Passing) -> Sequence[Passing]:
        return (passing, passing) if now.applies(passing) else (passing,)

    return meddle


MEDDLINGS: Final[dict[str, Callable[[Now], Meddling]]] = {
    "altered": lambda now: altering(
        now, lambda each: each.changed(flipped(each.payload, now.place()))
    ),
    "altered in what is readable": lambda now: altering(now, _renamed),
    "cut off": lambda now: altering(
        now, lambda each: each.changed(each.payload[: len(each.payload) // 2])
    ),
    "made longer": lambda now: altering(now, lambda each: each.changed(each.payload + b"x")),
    "emptied": lambda now: altering(now, lambda each: each.changed(b"")),
    "left out": lambda now: altering(now, lambda _: None),
    "renumbered": lambda now: altering(now, lambda each: each.changed(number=str(now.place() + 1))),
    "of another session": lambda now: altering(
        now, lambda each: each.changed(session=f"{now.place():032x}")
    ),
    "with the content of another": lambda now: exchanging(
        now, lambda each, before: each.changed(before.payload)
    ),
    "with all of another but its number": lambda now: exchanging(
        now,
        lambda each, before: each.changed(
            before.payload, **{**before.fields, "number": each.fields["number"]}
        ),
    ),
    "with all of another": lambda now: exchanging(
        now, lambda each, before: each.changed(before.payload, **before.fields)
    ),
    "repeated": repeating,
}


def _renamed(passing: Passing) -> Passing:
    """Change what a cipher leaves readable, or the tag where there is nothing else to change."""
    fields = passing.fields
    if "inner" in fields:
        return passing.changed(inner=fields["inner"].replace("0", "1").replace(NAME, f"x{NAME}"))
    return passing.changed(tag="0" * 32)


CASES: Final = [
    (meddling, requests, cipher)
    for meddling in MEDDLINGS
    for requests, cipher in ((True, 1), (True, 2), (False, 2))
]
"""Each at requests with both kinds of ciphers, and at answers."""


@pytest.mark.parametrize(("meddling", "requests", "cipher"), CASES)
def test_no_meddling_makes_a_wrong_file(
    api: APIInterface,
    receiver: StagedServer,
    tap: Wiretap,
    few: Sources,
    meddling: str,
    requests: bool,
    cipher: int,
) -> None:
    now = Now(requests=requests, most=1 if meddling == "left out" else 3)
    tap.meddle = MEDDLINGS[meddling](now)
    path = f"meddled-{meddling}-{requests}-{cipher}"
    ended = send(api, receiver.port, few.manifest, path, minCipher=cipher, timeoutSeconds=20)
    assert now.done > 0
    # It can hold a transfer up, and these few times it does not even that.
    assert ended["status"] == "complete", ended["errorMessage"]
    assert arrived(receiver, path) == few.contents


FORGED: Final = b"this is what you shall read"


def forging(passing: Passing) -> Sequence[Passing]:
    """Put other content in the place of small files, with everything that goes with it."""
    if passing.verb != Verb.SEALED or '"batch"' not in passing.fields.get("inner", ""):
        return (passing,)
    batch = decode(BatchRequest, sealed({}, passing.payload))
    sha256 = hashlib.sha256(FORGED).hexdigest()
    entries = tuple(
        replace(each, payload=FORGED, sha256=sha256) if each.kind is Kind.FILE else each
        for each in batch.entries
    )
    forged = encode(BatchRequest(entries=entries))
    inner = {**json.loads(passing.fields["inner"]), "fields": dict(forged.fields)}
    return (passing.changed(bytes(forged.payload), inner=json.dumps(inner)),)


@pytest.mark.parametrize("cipher", [0, 1])
def test_a_forger_who_can_read_succeeds_only_where_nothing_is_proven(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, few: Sources, cipher: int
) -> None:
    tap.meddle = forging
    made = api.send.createDestination(HOST, destinationPort=receiver.port, exclusive=True)
    path = f"forged-{cipher}"
    transfer = api.send.createTransfer(
        made, few.manifest, destinationPath=path, minCipher=cipher, timeoutSeconds=20
    )
    small = next(name for name, content in few.contents.items() if len(content) <= KIBIBYTE)
    if cipher != 0:
        wait_until(lambda: _batches(tap) > 2)
        assert small not in arrived(receiver, path)
        tap.clear()
    assert api.send.waitForTransfer(transfer)["status"] == "complete"
    forged = {small: FORGED} if cipher == 0 else {}
    assert arrived(receiver, path) == few.contents | forged


def _batches(tap: Wiretap) -> int:
    return sum('"batch"' in each.fields.get("inner", "") for each in tap.seen)


@pytest.mark.parametrize("code", [ErrorCode.DENIED, ErrorCode.STORAGE_FULL, ErrorCode.NOT_FOUND])
def test_what_nobody_has_proven_ends_no_transfer(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, few: Sources, code: ErrorCode
) -> None:
    now = Now(requests=False, most=3)
    tap.meddle = altering(now, lambda each: each.refused(RefusedError(code, "made up")))
    path = f"refused-{int(code)}"
    ended = send(api, receiver.port, few.manifest, path, minCipher=2, timeoutSeconds=20)
    assert now.done == 3
    assert ended["status"] == "complete", ended["errorMessage"]
    assert arrived(receiver, path) == few.contents


def test_a_broker_that_never_stops_meddling_makes_no_wrong_file(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, few: Sources
) -> None:
    now = Now(requests=True, most=10**6)
    tap.meddle = MEDDLINGS["altered"](now)
    made = api.send.createDestination(HOST, destinationPort=receiver.port)
    transfer = api.send.createTransfer(made, few.manifest, destinationPath="never", minCipher=2)
    wait_until(lambda: now.done > 20 or not api.send.getTransfer(transfer)["processing"])
    found = arrived(receiver, "never")
    assert all(few.contents[name] == content for name, content in found.items())
    tap.clear()
    ended = api.send.waitForTransfer(transfer)
    found = arrived(receiver, "never")
    assert all(few.contents[name] == content for name, content in found.items())
    assert ended["status"] == "error" or found == few.contents


def test_requests_of_an_earlier_session_are_taken_by_nobody(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, few: Sources
) -> None:
    ended = send(api, receiver.port, few.manifest, "replayed", minCipher=2)
    assert ended["status"] == "complete", ended["errorMessage"]
    recorded = [each for each in tap.seen if each.is_request and each.verb != Verb.HELLO]
    top = receiver.storage / "replayed"
    for path in top.rglob(f"{NAME}-*"):
        if path.is_file():
            path.unlink()
    tap.clear()
    again = iter(recorded)

    def replay(passing: Passing) -> Sequence[Passing]:
        if not passing.is_request or passing.verb != Verb.SEALED:
            return (passing,)
        return (passing, *[each for each in [next(again, None)] if each is not None])

    # All of it once more, admission first, between the messages of another transfer.
    tap.meddle = replay
    for number in range(2):
        ended = send(api, receiver.port, few.manifest, f"beside-{number}", minCipher=2)
        assert ended["status"] == "complete", ended["errorMessage"]
        assert arrived(receiver, f"beside-{number}") == few.contents
    assert next(again, None) is None
    assert arrived(receiver, "replayed") == {}


def public_key_of(receiver: StagedServer) -> str:
    return str(receiver.api().server.getServerInfo()["publicKey"])


def test_a_receiver_with_another_key_gets_nothing(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, sources: Sources
) -> None:
    right, wrong = public_key_of(receiver), PrivateKey.generate().public
    tap.clear()
    ended = send(api, receiver.port, sources.manifest, "wrong-key", key=wrong, minCipher=0)
    assert ended["status"] == "error"
    assert right in ended["errorMessage"]
    assert wrong in ended["errorMessage"]
    assert tap.verbs() == {Verb.HELLO}
    assert arrived(receiver, "wrong-key") == {}
    ended = send(api, receiver.port, sources.manifest, "right-key", key=right)
    assert ended["status"] == "complete", ended["errorMessage"]


def lying(name: str, told: str) -> Meddling:
    """Change what receivers say about themselves."""

    def meddle(passing: Passing) -> Sequence[Passing]:
        if passing.verb == Verb.HELLO and not passing.is_request:
            return (passing.changed(None, **{name: told}),)
        return (passing,)

    return meddle


def field_of(tap: Wiretap, beginning: str) -> str:
    """Return the name under which something is told that begins so."""
    hello = next(each for each in tap.seen if each.verb == Verb.HELLO and not each.is_request)
    return next(name for name, value in hello.fields.items() if value.startswith(beginning))


def test_a_broker_that_lies_about_the_key_gets_nothing(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, sources: Sources
) -> None:
    right, other = public_key_of(receiver), PrivateKey.generate().public
    name = field_of(tap, "dxlft1-")
    for told, expected in ((other, right), (other, other)):
        tap.clear()
        tap.meddle = lying(name, told)
        ended = send(api, receiver.port, sources.manifest, "lied-to", key=expected, minCipher=0)
        assert ended["status"] == "error"
        assert Verb.SEALED not in tap.verbs()
        assert CONTENT not in tap.everything()
        assert NAME.encode() not in tap.everything()
    assert arrived(receiver, "lied-to") == {}


@pytest.mark.parametrize("cipher", [None, 1, 2, 3])
def test_a_broker_cannot_talk_a_sender_out_of_protection(
    api: APIInterface, receiver: StagedServer, tap: Wiretap, sources: Sources, cipher: int | None
) -> None:
    tap.meddle = lying("verbs", "open segment status finish abort batch")
    ended = send(api, receiver.port, sources.manifest, "talked-out", minCipher=cipher)
    assert ended["status"] == "error"
    assert "Nothing was sent" in ended["errorMessage"]
    assert tap.verbs() <= {Verb.HELLO}
    assert arrived(receiver, "talked-out") == {}


def test_a_service_without_sessions_gets_nothing_that_is_to_be_protected(
    provisioned: Provisioned, stage: TransferStage, sender: StagedServer, api: APIInterface,
    sources: Sources, tmp_path: Path,
) -> None:  # fmt: skip
    with untrusted_fabric(provisioned) as (fabric, tap):
        service = Services(fabric, stage.processes, tmp_path).start("plain", DEFAULT_STORE_TOPIC)
        port = fabric.broker.port
        fabrics = sender.home.state / "fabrics"
        fabric.write_configuration(fabrics / "plain.config")
        for options in (
            {},
            {"minCipher": 1},
            {"minCipher": 0, "key": PrivateKey.generate().public},
            {"minCipher": 0, "userName": USER, "password": PASSWORD},
        ):
            ended = send(api, port, sources.manifest, "protected", **options)
            assert ended["status"] == "error"
            assert "Nothing was sent" in ended["errorMessage"]
        assert tap.verbs() == {Verb.HELLO}
        assert PASSWORD.encode() not in tap.everything()
        assert not (service.storage / "protected").exists()
        ended = send(api, port, sources.manifest, "plain", minCipher=0)
        assert ended["status"] == "complete", ended["errorMessage"]
        assert Verb.SEGMENT in tap.verbs()
        found = {path.name for path in (service.storage / "plain").rglob(f"{NAME}-*")}
        assert found == set(sources.contents)
        service.process.kill()


def set_restriction(receiver: StagedServer, *, only_listed: bool) -> APIInterface:
    admin = receiver.superuser()
    request = admin.recv.allowOnlyAuthorizedClientsAsync(only_listed)
    admin.server.getRequestResult(request)
    return admin


def test_only_listed_senders_are_let_in(
    api: APIInterface, receiver: StagedServer, stage: TransferStage, sources: Sources
) -> None:
    key = api.server.getServerInfo()["publicKey"]
    admin = set_restriction(receiver, only_listed=True)
    try:
        other = admin.recv.addAuthorizedClientAsync(PrivateKey.generate().public)
        admin.server.getRequestResult(other)
        for options in ({}, {"minCipher": 0}, {"userName": USER, "password": PASSWORD}):
            ended = send(api, receiver.port, sources.manifest, "unlisted", **options)
            assert ended["status"] == "error"
            assert key in ended["errorMessage"]
        plain = receiver.command(
            *("send", stage.source(KIBIBYTE, "unlisted"), "--config", receiver.configuration)
        )
        assert plain.returncode != 0
        assert "listed senders only" in plain.stderr
        assert arrived(receiver, "unlisted") == {}
        assert not (receiver.storage / "unlisted").exists()
        admin.server.getRequestResult(admin.recv.addAuthorizedClientAsync(key))
        ended = send(api, receiver.port, sources.manifest, "listed")
        assert ended["status"] == "complete", ended["errorMessage"]
        # Whoever is taken off the list stops in the middle.
        made = api.send.createDestination(HOST, destinationPort=receiver.port)
        transfer = api.send.createTransfer(
            made, sources.manifest, destinationPath="stopped", sendRateMax=4000
        )
        wait_until(lambda: api.send.getTransfer(transfer)["bytesSent"] > 0)
        admin.server.getRequestResult(admin.recv.removeAuthorizedClientAsync(key))
        stopped = api.send.waitForTransfer(transfer)
        assert stopped["status"] == "error"
        assert key in stopped["errorMessage"]
        assert len(arrived(receiver, "stopped")) < len(sources.contents)
    finally:
        set_restriction(receiver, only_listed=False)


def test_a_receiver_asks_for_more_than_its_senders(
    api: APIInterface, receiver: JoinedServer, tap: Wiretap, sources: Sources
) -> None:
    receiver.end()
    receiver.join(receiver.fabric, {"TransferServer": {"leastCipher": "aes256"}})
    tap.clear()
    for cipher in (0, 1, 3):
        path = f"least-{cipher}"
        ended = send(api, receiver.port, sources.manifest, path, minCipher=cipher)
        assert ended["status"] == "complete", ended["errorMessage"]
        assert arrived(receiver, path) == sources.contents
    everything = tap.everything()
    assert CONTENT not in everything
    assert NAME.encode() not in everything
