"""What users, holders of tokens and senders try at a transfer server that they must not."""

import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from dxlclient.callbacks import EventCallback
from dxlclient.message import Event

from dxlfabric.connection import connect
from dxlfiletransferclient.control.errors import AuthenticationError, CommandError, ErrorKind
from dxlfiletransferclient.control.names import EVENT_TOPIC
from jetstream.apiinterface import APIInterface
from tests.integration.controlclients import control_client
from tests.integration.transferstage import (
    ADMIN,
    HOST,
    KIBIBYTE,
    OTHER,
    PASSWORD,
    USER,
    StagedServer,
    TransferStage,
    staged,
)
from tests.waiting import TIMEOUT, wait_until

BOXED: Final = "boxed"
"""A user who is confined to a directory."""

GUESSED: Final = "guessed"
"""A user whose password somebody tries to find out."""

NEVER: Final = "999999"
"""An id that nothing has had."""

GUESSES: Final = 50
"""Passwords that somebody tries at most."""

MARK: Final = b"not for everybody"
"""In the files that nobody may get."""


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TransferStage]:
    with staged(tmp_path_factory.mktemp("access")) as made:
        yield made


@pytest.fixture(scope="module")
def server(stage: TransferStage) -> StagedServer:
    """A server that takes files only from who shows who he is."""
    settings = {"TransferServer": {"requireAuthentication": "yes"}}
    made = stage.server(settings=settings, start=False)
    made.add_user(BOXED)
    made.add_user(GUESSED)
    return made.start()


@pytest.fixture(scope="module")
def owner(server: StagedServer) -> APIInterface:
    return server.logged_on(USER)


@pytest.fixture(scope="module")
def stranger(server: StagedServer) -> APIInterface:
    return server.logged_on(OTHER)


@pytest.fixture(scope="module")
def superuser(server: StagedServer) -> APIInterface:
    return server.superuser()


@dataclass(frozen=True)
class Belongings:
    """One of everything that a user can have."""

    api: APIInterface
    destination: str
    manifest: str
    transfer: str
    shared: str
    token: str
    request: int
    connection: str

    def look(self) -> dict[str, Any]:
        send, server = self.api.send, self.api.server
        found: dict[str, Any] = {
            "destination": send.getDestination(self.destination),
            "manifest": send.getManifest(self.manifest),
            "transfer": send.getTransfer(self.transfer),
            "shared": send.getSharedToken(self.shared),
            "token": server.getAPIToken(self.token),
            "connection": send.getConnection(self.connection),
        }
        found["transfer"].pop("snapshotTime")
        return found


def complete(api: APIInterface, mappings: dict[str, str]) -> str:
    made = api.send.waitForManifest(api.send.createManifest(mappings=mappings))
    assert made["status"] == "complete", made["errorMessage"]
    return str(made["manifestId"])


def belongings_of(api: APIInterface, source: Path) -> Belongings:
    """Make one of everything; the destination is one that nobody answers at."""
    manifest = complete(api, {"/docs/plan.txt": str(source)})
    made = api.send.createDestination(HOST, destinationPort=1)
    transfer = api.send.createTransfer(made, manifest, userData={"key": "value"})
    request = api.send.suspendTransferAsync(transfer)
    api.server.getRequestResult(request)
    return Belongings(
        api=api,
        destination=str(made["destinationId"]),
        manifest=manifest,
        transfer=str(transfer["transferId"]),
        shared=str(api.send.createSharedToken(manifest)["token"]).partition(".")[0],
        token=str(api.server.createAPIToken()["token"]).partition(".")[0],
        request=int(request["requestId"]),
        connection=str(made["connectionId"]),
    )


@pytest.fixture(scope="module")
def theirs(stage: TransferStage, owner: APIInterface) -> Belongings:
    """What belongs to somebody else."""
    return belongings_of(owner, stage.source(KIBIBYTE, "plan.txt"))


@dataclass(frozen=True)
class Own:
    """What a stranger has himself, to use together with what is not his."""

    destination: str
    manifest: str


@pytest.fixture(scope="module")
def own(stage: TransferStage, stranger: APIInterface) -> Own:
    made = stranger.send.createDestination(HOST, destinationPort=2)
    source = stage.source(KIBIBYTE, "own.txt")
    return Own(str(made["destinationId"]), complete(stranger, {"own.txt": str(source)}))


Attempt = Callable[[APIInterface, Own, str], object]

OBJECT_FIELDS: Final = {
    "destination": "destinationId",
    "manifest": "manifestId",
    "transfer": "transferId",
    "shared": "token",
}


def _with_user_data(key: str) -> Attempt:
    return lambda api, _, it: api.send.updateObjectUserData({key: it}, "key", "value")


ATTEMPTS: Final[dict[str, tuple[str, Attempt]]] = {
    "getDestination": ("destination", lambda api, _, it: api.send.getDestination(it)),
    "deleteDestination": ("destination", lambda api, _, it: api.send.deleteDestination(it)),
    "setSendRateMaxAsync": (
        "destination",
        lambda api, _, it: api.send.setSendRateMaxAsync(it, 1),
    ),
    "setPriorityLanesAsync": (
        "destination",
        lambda api, _, it: api.send.setPriorityLanesAsync(it, {"a": 1.0}),
    ),
    "updateTransferDefaults": (
        "destination",
        lambda api, _, it: api.send.updateTransferDefaults(it, priority=1),
    ),
    "schedulePingAsync": ("destination", lambda api, _, it: api.send.schedulePingAsync(it, 1)),
    "getTransfers": (
        "destination",
        lambda api, _, it: api.send.getTransfers(destinationId=it),
    ),
    "createTransfer to it": (
        "destination",
        lambda api, own, it: api.send.createTransfer(it, own.manifest),
    ),
    "createTransfer of it": (
        "manifest",
        lambda api, own, it: api.send.createTransfer(own.destination, it),
    ),
    "getManifest": ("manifest", lambda api, _, it: api.send.getManifest(it)),
    "getManifestFiles": ("manifest", lambda api, _, it: api.send.getManifestFiles(it)),
    "deleteManifest": ("manifest", lambda api, _, it: api.send.deleteManifest(it)),
    "createSharedToken": ("manifest", lambda api, _, it: api.send.createSharedToken(it)),
    "getTransfer": ("transfer", lambda api, _, it: api.send.getTransfer(it)),
    "deleteTransfer": ("transfer", lambda api, _, it: api.send.deleteTransfer(it)),
    "failTransfer": ("transfer", lambda api, _, it: api.send.failTransfer(it, "no")),
    "suspendTransferAsync": (
        "transfer",
        lambda api, _, it: api.send.suspendTransferAsync(it),
    ),
    "resumeTransferAsync": ("transfer", lambda api, _, it: api.send.resumeTransferAsync(it)),
    "setTransferPriorityAsync": (
        "transfer",
        lambda api, _, it: api.send.setTransferPriorityAsync(it, 1),
    ),
    "setTransferSendRateMaxAsync": (
        "transfer",
        lambda api, _, it: api.send.setTransferSendRateMaxAsync(it, 1),
    ),
    "getSharedToken": ("shared", lambda api, _, it: api.send.getSharedToken(it)),
    "updateSharedToken": (
        "shared",
        lambda api, _, it: api.send.updateSharedToken(it, description="mine"),
    ),
    "deleteSharedToken": ("shared", lambda api, _, it: api.send.deleteSharedToken(it)),
    "getAPIToken": ("token", lambda api, _, it: api.server.getAPIToken(it)),
    "deleteAPIToken": ("token", lambda api, _, it: api.server.deleteAPIToken(it)),
    "getConnection": ("connection", lambda api, _, it: api.send.getConnection(it)),
    "updateConnectionParamsAsync": (
        "connection",
        lambda api, _, it: api.send.updateConnectionParamsAsync(it, sendRateMax=1),
    ),
    "getRequestStatus": ("request", lambda api, _, it: api.server.getRequestStatus(int(it))),
    "getRequestResult": ("request", lambda api, _, it: api.server.getRequestResult(int(it))),
    **{
        f"updateObjectUserData of a {kind}": (kind, _with_user_data(key))
        for kind, key in OBJECT_FIELDS.items()
    },
    "deleteObjectUserData": (
        "transfer",
        lambda api, _, it: api.send.deleteObjectUserData({"transferId": it}, "key"),
    ),
}

NEVER_A_TOKEN: Final = f"{NEVER}-0123456789ab"


@pytest.mark.parametrize("attempt", ATTEMPTS)
def test_what_is_anothers_is_as_if_it_was_not_there(
    stranger: APIInterface, theirs: Belongings, own: Own, attempt: str
) -> None:
    kind, attempt_at = ATTEMPTS[attempt]
    before = theirs.look()
    never = NEVER_A_TOKEN if kind in ("shared", "token") else NEVER
    texts = []
    for name in (str(getattr(theirs, kind)), never):
        with pytest.raises(CommandError) as refused:
            attempt_at(stranger, own, name)
        assert refused.value.kind is ErrorKind.NOT_FOUND
        assert name in str(refused.value)
        texts.append(str(refused.value).replace(name, "#"))
    assert texts[0] == texts[1]
    assert theirs.look() == before


def test_lists_have_nothing_of_others(stranger: APIInterface, theirs: Belongings, own: Own) -> None:
    send, server = stranger.send, stranger.server
    assert [each["destinationId"] for each in send.getDestinations()] == [own.destination]
    assert [each["manifestId"] for each in send.getManifests()] == [own.manifest]
    assert send.getTransfers() == []
    assert [*send.getSharedTokens(), *server.getAPITokens()] == []
    (connection,) = send.getConnections()
    assert connection["connectionId"] != theirs.connection
    assert USER not in json.dumps(server.getEventLog())
    # Nor does a place in the list of somebody else open a view on it.
    assert send.getManifests(after=theirs.manifest) == send.getManifests()
    assert send.getTransfers(after="0") == []


FOR_SUPERUSERS: Final[dict[str, dict[str, Any]]] = {
    "server.getUsers": {},
    "server.createUser": {"userName": "mallory", "password": "mallory", "superuser": True},
    "server.deleteUser": {"userName": USER},
    "server.setPassword": {"userName": USER, "password": "x", "oldPassword": PASSWORD},
    "server.getSandboxMappings": {},
    "server.setSandboxMapping": {"userName": OTHER, "mapping": {"": "/"}},
    "server.garbageCollect": {},
    "server.updateGarbageCollectSettings": {"transferLifetimeSeconds": 0},
    "recv.addAuthorizedClientAsync": {"clientPublicKey": "dxlft1-" + "A" * 43},
    "recv.removeAuthorizedClientAsync": {"clientPublicKey": "dxlft1-" + "A" * 43},
    "recv.allowOnlyAuthorizedClientsAsync": {"onlyAuthorizedClientsAllowed": True},
    "recv.getSourcesAsync": {},
    "recv.getTransfersAsync": {},
}

FOR_USERS: Final = (
    *(f"send.get{kind}s" for kind in ("Destination", "Manifest", "Transfer", "SharedToken")),
    "send.createManifest",
    "send.createDestination",
    "send.createTransfer",
    "send.getConnections",
    "server.createAPIToken",
    "server.getEventLog",
    "server.superuser",
    "server.ticket",
)


def test_what_only_superusers_may(server: StagedServer, superuser: APIInterface) -> None:
    before = superuser.server.getUsers(), superuser.server.getSandboxMappings()
    for credentials in ({"userName": OTHER, "password": PASSWORD}, _token_of(server, OTHER)):
        with control_client(server, credentials) as client:
            for command, arguments in FOR_SUPERUSERS.items():
                with pytest.raises(CommandError) as refused:
                    client.call(command, arguments)
                assert refused.value.kind is ErrorKind.NOT_ALLOWED, command
            with pytest.raises(CommandError, match="may not become superuser"):
                client.call("server.superuser")
            assert "configuration" not in client.call("server.getServerInfo")
    assert (superuser.server.getUsers(), superuser.server.getSandboxMappings()) == before
    assert not superuser.server.getServerInfo()["receiver"]["onlyAuthorizedClientsAllowed"]


def _token_of(server: StagedServer, user: str) -> dict[str, str]:
    return {"token": server.logged_on(user).server.createAPIToken()["token"]}


def test_without_a_log_on_nothing_is_told(server: StagedServer) -> None:
    with control_client(server) as client:
        for command in (*FOR_SUPERUSERS, *FOR_USERS):
            with pytest.raises(AuthenticationError, match="log on first"):
                client.call(command, FOR_SUPERUSERS.get(command))
        with pytest.raises(CommandError) as refused:
            client.call("server.getRequestResult", {"requestId": 1})
        assert refused.value.kind is ErrorKind.NOT_FOUND


def test_a_superuser_who_has_not_said_so_is_a_user(
    server: StagedServer, theirs: Belongings
) -> None:
    admin = server.logged_on(ADMIN)
    with pytest.raises(CommandError):
        admin.send.getTransfer(theirs.transfer)
    assert admin.send.getManifests() == []
    admin.server.superuser()
    assert admin.send.getTransfer(theirs.transfer)["owner"] == USER


def refused_source(api: APIInterface, path: Path | str) -> str:
    """Try to make a manifest of something, and return what it is refused with."""
    try:
        made = api.send.createManifest(mappings={"stolen": str(path)})
    except CommandError as error:
        if error.kind is not ErrorKind.NOT_ALLOWED:
            raise
        return str(error)
    made = api.send.waitForManifest(made)
    assert made["status"] == "error"
    return str(made["errorMessage"])


def test_nobody_sends_what_is_the_servers_own(
    stage: TransferStage, server: StagedServer, superuser: APIInterface, stranger: APIInterface
) -> None:
    home = server.home
    link = stage.sources / "harmless"
    link.symlink_to(home.state)
    paths: list[Path | str] = [
        home.path,
        home.path.parent,
        home.state / "server.key",
        home.state / "server.db",
        home.client_configuration.parent,
        home.service,
        f"{home.storage}/../state/server.key",
        f"//{home.state}/./server.key",
        link,
        link / "server.key",
        "/proc/self/environ",
        "/proc/self/root" + str(home.state),
    ]
    for api in (stranger, superuser):
        for path in paths:
            text = refused_source(api, path)
            assert "belongs to the server itself" in text or "not among what may be sent" in text
        # What is not looked at is checked all the same.
        with pytest.raises(CommandError, match="belongs to the server itself"):
            api.send.createManifest(mappings={"k": {"src": str(link / "server.key"), "size": 9}})
    # Whether there is such a file is not told either.
    texts = [refused_source(stranger, home.state / name) for name in ("server.key", "nonsense")]
    assert texts[0].replace("server.key", "nonsense") == texts[1]


@dataclass(frozen=True)
class Box:
    """The sandbox of a user, and what is beside it."""

    api: APIInterface
    inside: Path
    outside: Path
    credentials: dict[str, str] = field(
        default_factory=lambda: {"userName": BOXED, "password": PASSWORD}
    )


@pytest.fixture(scope="module")
def box(stage: TransferStage, server: StagedServer, superuser: APIInterface) -> Box:
    inside, outside = stage.sources / "boxes" / BOXED, stage.sources / "boxes" / f"{BOXED}2"
    for directory in (inside / "docs", outside):
        directory.mkdir(parents=True)
    (inside / "docs" / "plan").write_bytes(b"the plan")
    (outside / "secret").write_bytes(MARK)
    (inside / "way").symlink_to(outside)
    (inside / "docs" / "shortcut").symlink_to(outside / "secret")
    superuser.server.setSandboxMapping(BOXED, {"home": f"{inside.parent}/%u"})
    return Box(server.logged_on(BOXED), inside, outside)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/hostname",
        "{outside}/secret",
        "{inside}/docs/plan",
        "/home/../boxed2/secret",
        "/home/docs/../../boxed2/secret",
        "/home/way/secret",
        "/home/way",
        "/home/docs/shortcut",
        "/homeless",
        "/",
        "..",
        "~/docs",
        "home/way/./secret",
        "/HOME/docs",
    ],
)
def test_nothing_is_sent_from_outside_of_a_sandbox(box: Box, path: str) -> None:
    named = path.format(inside=box.inside, outside=box.outside)
    text = refused_source(box.api, named)
    # The way that leads there is told, and not where it leads.
    assert path.startswith("{") or str(box.inside.parent) not in text


def test_links_that_lead_out_of_a_sandbox_spoil_what_they_are_in(box: Box) -> None:
    made = box.api.send.waitForManifest(box.api.send.createManifest(mappings={"all": "/home/docs"}))
    assert made["status"] == "error"
    text = str(made["errorMessage"])
    assert "/home/docs/shortcut" in text
    assert str(box.outside) not in text
    inside = box.api.send.createManifest(mappings={"plan": "/home/docs/plan"})
    assert box.api.send.waitForManifest(inside)["status"] == "complete"


def send(
    api: APIInterface, server: StagedServer, manifest: str, path: str = "", **options: Any
) -> dict[str, Any]:
    """Send to a server itself, and return what became of it."""
    made = api.send.createDestination(HOST, destinationPort=server.port)
    transfer = api.send.createTransfer(made, manifest, destinationPath=path, **options)
    return dict(api.send.waitForTransfer(transfer))


def stored(server: StagedServer, *more: Path) -> set[bytes]:
    """Return the contents of all files that were stored."""
    return {
        path.read_bytes()
        for top in (server.storage, *more)
        for path in top.rglob("*")
        if path.is_file() and ".workdir" not in path.parts
    }


def test_a_file_that_becomes_a_link_is_not_sent(server: StagedServer, box: Box) -> None:
    file = box.inside / "docs" / "turning"
    file.write_bytes(bytes(len(MARK)))
    manifest = complete(box.api, {"turned": "/home/docs/turning"})
    file.unlink()
    file.symlink_to(box.outside / "secret")
    ended = send(box.api, server, manifest, "home/in", **box.credentials)
    assert ended["status"] == "error"
    assert str(box.inside.parent) not in ended["errorMessage"]
    assert MARK not in stored(server, box.inside / "in")


def test_a_sandbox_that_becomes_smaller_holds_for_what_was_prepared(
    server: StagedServer, box: Box, superuser: APIInterface
) -> None:
    manifest = complete(box.api, {"plan": "/home/docs/plan"})
    other = box.inside / "empty"
    other.mkdir()
    try:
        superuser.server.setSandboxMapping(BOXED, {"home": str(other)})
        ended = send(box.api, server, manifest, "home", **box.credentials)
    finally:
        superuser.server.setSandboxMapping(BOXED, {"home": f"{box.inside.parent}/%u"})
    assert ended["status"] == "error"
    assert list(other.rglob("plan")) == []


@pytest.mark.parametrize(
    "path",
    ["", "docs", "homeless", "home/../docs", "home/way", "home/way/deeper", "home/docs/shortcut"],
)
def test_nothing_is_stored_outside_of_a_sandbox(server: StagedServer, box: Box, path: str) -> None:
    manifest = complete(box.api, {"plan": "/home/docs/plan"})
    before = sorted(box.outside.rglob("*")), stored(server)
    ended = send(box.api, server, manifest, path, **box.credentials)
    assert ended["status"] == "error"
    assert (sorted(box.outside.rglob("*")), stored(server)) == before
    assert (box.outside / "secret").read_bytes() == MARK


@pytest.mark.parametrize("path", ["home/../..", "../home", "/home/docs/../../.."])
def test_no_destination_path_leads_upwards(box: Box, path: str) -> None:
    manifest = complete(box.api, {"plan": "/home/docs/plan"})
    made = box.api.send.createDestination(HOST, destinationPort=1)
    with pytest.raises(CommandError, match="leads out"):
        box.api.send.createTransfer(made, manifest, destinationPath=path)
    with pytest.raises(CommandError, match=r"'\.\.'"):
        box.api.send.createManifest(mappings={f"{path}/plan": "/home/docs/plan"})


def test_who_may_store_files_where_everybody_has_to_say_who_he_is(
    stage: TransferStage, server: StagedServer, owner: APIInterface, box: Box
) -> None:
    source = stage.source(KIBIBYTE, "authenticated")
    manifest = complete(owner, {"authenticated": str(source)})
    tokens = {
        "only downloads": owner.server.createAPIToken(permissions=["download"]),
        "with password": owner.server.createAPIToken(password="opens the token"),
        "whole": owner.server.createAPIToken(permissions=["upload"]),
        "shared": owner.send.createSharedToken(manifest),
        "below": box.api.server.createAPIToken(path="/home/docs", permissions=["upload"]),
        "revoked": owner.server.createAPIToken(),
    }
    owner.server.deleteAPIToken(tokens["revoked"])
    refused: list[dict[str, str]] = [
        {},
        {"userName": USER},
        {"userName": USER, "password": "another one"},
        {"userName": "nobody", "password": PASSWORD},
        {"userName": OTHER, "password": "*"},
        {"token": tokens["only downloads"]["token"]},
        {"token": tokens["with password"]["token"]},
        {"token": tokens["with password"]["token"], "password": "does not"},
        {"token": tokens["shared"]["token"]},
        {"token": tokens["revoked"]["token"]},
        {"token": tokens["whole"]["token"][:-1]},
        {"token": tokens["whole"]["token"].partition(".")[0]},
    ]
    for number, credentials in enumerate(refused):
        ended = send(owner, server, manifest, f"refused-{number}", **credentials)
        assert ended["status"] == "error", credentials
        shown = {credentials.get("password", "*"), credentials.get("token", "*")}
        for secret in shown - {"*"}:
            assert secret not in json.dumps(ended)
    assert list(server.storage.glob("refused-*")) == []
    let_in: list[dict[str, str]] = [
        {"userName": USER, "password": PASSWORD},
        {"token": tokens["whole"]["token"]},
        {"token": tokens["with password"]["token"], "password": "opens the token"},
    ]
    for number, credentials in enumerate(let_in):
        ended = send(owner, server, manifest, f"let-in-{number}", **credentials)
        assert ended["status"] == "complete", ended["errorMessage"]
        assert (server.storage / f"let-in-{number}" / source.name).stat().st_size == KIBIBYTE
    below = tokens["below"]["token"]
    ended = send(owner, server, manifest, "there", token=below)
    assert ended["status"] == "complete", ended["errorMessage"]
    assert (box.inside / "docs" / "there" / source.name).is_file()


def test_who_says_nothing_stores_nothing_without_a_session_either(
    stage: TransferStage, server: StagedServer
) -> None:
    found = server.command("send", stage.source(KIBIBYTE, "plain"))
    assert found.returncode != 0
    assert "takes files only from who shows" in found.stderr
    assert not (server.storage / "plain").exists()


def test_a_token_does_what_it_permits_and_no_more(
    stage: TransferStage, server: StagedServer, owner: APIInterface, theirs: Belongings
) -> None:
    (stage.sources / "below").mkdir()
    source = stage.source(KIBIBYTE, "below/file")
    made = owner.server.createAPIToken(path=str(source.parent), permissions=["download"])
    api = server.api()
    api.server.auth(token=made["token"])
    # It is confined to its path, and sees nothing of what its maker has by other ways.
    for path in ("/../plan.txt", str(stage.sources / "plan.txt"), "/..", ".."):
        with pytest.raises(CommandError):
            api.send.createManifest(mappings={"x": path})
    seen = [*api.send.getTransfers(), *api.send.getManifests(), *api.send.getDestinations()]
    assert seen == []
    with pytest.raises(CommandError, match="there is no transfer"):
        api.send.getTransfer(theirs.transfer)
    manifest = complete(api, {"x": "/file"})
    for attempt in (
        lambda: api.send.createSharedToken(manifest),
        lambda: api.send.deleteManifest(manifest),
        api.server.createAPIToken,
        api.server.superuser,
    ):
        with pytest.raises(CommandError) as refused:
            attempt()
        assert refused.value.kind is ErrorKind.NOT_ALLOWED
    # When it is deleted, what has logged on with it is out.
    owner.server.deleteAPIToken(made)
    with pytest.raises(AuthenticationError):
        api.send.getManifests()


def test_a_shared_token_opens_one_manifest_and_nothing_else(
    stage: TransferStage, server: StagedServer, owner: APIInterface, theirs: Belongings
) -> None:
    source = stage.source(KIBIBYTE, "opened")
    manifest = complete(owner, {"opened": str(source)})
    api = server.api()
    api.server.auth(token=owner.send.createSharedToken(manifest)["token"])
    assert [each["manifestId"] for each in api.send.getManifests()] == [manifest]
    assert str(stage.sources) not in json.dumps(api.send.getManifestFiles(manifest))
    destination = api.send.createDestination(HOST, destinationPort=1)
    for attempt in (
        lambda: api.send.getManifest(theirs.manifest),
        lambda: api.send.createTransfer(destination, theirs.manifest),
        lambda: api.send.createTransfer(theirs.destination, manifest),
        lambda: api.send.getTransfer(theirs.transfer),
        lambda: api.send.getDestination(theirs.destination),
        lambda: api.send.createManifest(mappings={"x": str(source)}),
        lambda: api.send.deleteManifest(manifest),
        lambda: api.send.updateObjectUserData({"manifestId": manifest}, "key", "value"),
        lambda: api.send.createSharedToken(manifest),
        api.send.getSharedTokens,
        api.server.getAPITokens,
        api.server.createAPIToken,
        api.server.getEventLog,
        api.server.superuser,
    ):
        with pytest.raises(CommandError) as refused:
            attempt()
        assert refused.value.kind in (ErrorKind.NOT_ALLOWED, ErrorKind.NOT_FOUND)


def test_a_shared_token_is_used_as_often_as_it_may_be_and_no_more(
    stage: TransferStage, server: StagedServer, owner: APIInterface, tmp_path: Path
) -> None:
    limit, threads = 4, 5
    manifest = complete(owner, {"limited": str(stage.source(KIBIBYTE, "limited"))})
    token = owner.send.createSharedToken(manifest, downloadLimit=limit)
    together = threading.Barrier(threads)

    def transfer(_: int) -> bool:
        with control_client(server, {"token": token["token"]}) as client:
            where = {"destinationAddress": HOST, "destinationPort": 1}
            made = client.call("send.createDestination", where)
            together.wait(TIMEOUT)
            try:
                client.call("send.createTransfer", {"destinationId": made, "manifestId": manifest})
            except AuthenticationError:
                return False
            return True

    commands = [
        server.start_command("get", "--token", token["token"], "-o", f"{tmp_path / name}/")
        for name in ("one", "two")
    ]
    with ThreadPoolExecutor(threads) as pool:
        counted = sum(pool.map(transfer, range(threads)))
    counted += sum(each.wait(2 * TIMEOUT) == 0 for each in commands)
    assert counted == limit
    assert owner.send.getSharedToken(token)["downloadCount"] == limit
    assert len(list(tmp_path.rglob("limited"))) + len(_transfers_of(server, manifest)) == limit


def _transfers_of(server: StagedServer, manifest: str) -> list[Any]:
    found = server.superuser().send.getTransfers()
    return [each for each in found if each["manifestId"] == manifest]


def test_a_kill_in_between_neither_loses_nor_doubles_a_use(
    stage: TransferStage, server: StagedServer, owner: APIInterface
) -> None:
    limit = 40
    manifest = complete(owner, {"killed": str(stage.source(KIBIBYTE, "killed"))})
    token = owner.send.createSharedToken(manifest, downloadLimit=limit)
    some = threading.Event()
    made: list[str] = []

    def use_up() -> None:
        with control_client(server, {"token": token["token"]}) as client:
            where = {"destinationAddress": HOST, "destinationPort": 1}
            order = {
                "destinationId": client.call("send.createDestination", where),
                "manifestId": manifest,
            }
            while True:
                try:
                    found = client.call("send.createTransfer", order)
                except AuthenticationError:
                    return
                made.append(found["transferId"])
                if len(made) >= 5:
                    some.set()

    user = threading.Thread(target=use_up)
    user.start()
    assert some.wait(TIMEOUT)
    server.restart()
    user.join(2 * TIMEOUT)
    assert not user.is_alive()
    assert len(made) == len(set(made)) == limit
    found = _transfers_of(server, manifest)
    assert sorted(each["transferId"] for each in found) == sorted(made)
    assert owner.send.getSharedToken(token)["downloadCount"] == limit


def test_a_use_that_is_removed_is_still_used_up(
    stage: TransferStage, server: StagedServer, owner: APIInterface
) -> None:
    manifest = complete(owner, {"once": str(stage.source(KIBIBYTE, "once"))})
    token = owner.send.createSharedToken(manifest, downloadLimit=1)
    guest = server.api()
    guest.server.auth(token=token["token"])
    made = guest.send.createDestination(HOST, destinationPort=1)
    transfer = guest.send.createTransfer(made, manifest)
    guest.send.failTransfer(transfer)
    guest.send.deleteTransfer(transfer)
    with pytest.raises(AuthenticationError, match="cannot be used any more"):
        guest.send.createTransfer(made, manifest)


def test_a_shared_token_ends_with_its_time(
    stage: TransferStage, server: StagedServer, owner: APIInterface, tmp_path: Path
) -> None:
    manifest = complete(owner, {"late": str(stage.source(KIBIBYTE, "late"))})
    token = owner.send.createSharedToken(manifest, timeLimitSeconds=2)
    early, late = server.api(), server.api()
    early.server.auth(token=token["token"])
    assert token["expiryTime"] is not None
    expiry = token["expiryTime"] / 1e6
    wait_until(lambda: time.time() > expiry)
    with pytest.raises(AuthenticationError):
        late.server.auth(token=token["token"])
    with pytest.raises(AuthenticationError):
        early.send.getManifests()
    found = server.command("get", "--token", token["token"], "-o", f"{tmp_path}/")
    assert found.returncode != 0
    assert token["token"] not in found.stdout + found.stderr
    assert list(tmp_path.iterdir()) == []
    assert owner.send.getSharedToken(token)["downloadCount"] == 0


def guess(api: APIInterface, name: str) -> list[str]:
    """Try passwords until that is refused, and return all answers without the times in them."""
    texts: list[str] = []
    while not texts or not texts[-1].startswith("too many"):
        assert len(texts) < GUESSES
        with pytest.raises(AuthenticationError) as refused:
            api.server.auth(name, f"attempt {len(texts)}")
        texts.append(re.sub(r"\d+ seconds?", "#", str(refused.value)))
    return texts


def test_wrong_passwords_are_slowed_down(server: StagedServer) -> None:
    api, another = server.api(), server.api()
    known, unknown = guess(api, GUESSED), guess(another, "not-there")
    # Some may be mistyped; and nobody learns from it which users there are.
    assert min(len(known), len(unknown)) > 4
    assert set(known) == set(unknown)
    # Another connection makes no difference, and neither does the right password, for a moment.
    wait_until(lambda: bool(guess(api, GUESSED)) and not _logs_on(another, GUESSED))
    wait_until(lambda: _logs_on(another, GUESSED))


def _logs_on(api: APIInterface, name: str) -> bool:
    try:
        api.server.auth(name, PASSWORD)
    except AuthenticationError:
        return False
    return True


class _Heard(EventCallback):
    def __init__(self) -> None:
        super().__init__()
        self.text = b""
        self.ended = threading.Event()

    def on_event(self, event: Event) -> None:
        payload = event.payload
        assert isinstance(payload, bytes)
        self.text += event.destination_topic.encode() + payload
        if b"transferDeleted" in self.text:
            self.ended.set()


def test_no_secret_is_kept_or_told_anywhere(stage: TransferStage) -> None:
    secrets = {
        name: f"secret-{name}-{number}"
        for number, name in enumerate(("password", "next", "wrong", "token", "link", "credentials"))
    }
    server = StagedServer(stage.processes, stage.sources / "talkative", arguments=("--verbose",))
    stage.keep(server)
    server.add_user("ann", secrets["password"])
    server.add_user(ADMIN, superuser=True)
    server.start()
    source = stage.source(KIBIBYTE, "seen")
    told: list[str] = []
    heard = _Heard()
    with connect(server.configuration) as dxl_client:
        dxl_client.add_event_callback(f"{EVENT_TOPIC}/#", heard)
        credentials = {"userName": "ann", "password": secrets["password"]}
        with control_client(server, credentials) as client:
            api = server.logged_on("ann", secrets["password"])
            ticket = client.call("server.ticket")["ticket"]
            manifest = complete(api, {"seen": str(source)})
            link = api.send.createSharedToken(manifest, password=secrets["link"])["token"]
            token = api.server.createAPIToken(password=secrets["token"])["token"]
            for attempt in (
                lambda: server.api().server.auth("ann", secrets["wrong"]),
                lambda: server.api().server.auth(token=token, password=secrets["wrong"]),
                lambda: server.api().server.auth(token=f"{token}x"),
                lambda: api.send.getSharedToken(link.partition(".")[2]),
                lambda: client.call("server.auth", {"password": secrets["wrong"], "userName": 7}),
                lambda: client.call("server.auth", {"token": token, "passw": secrets["wrong"]}),
                lambda: client.call("server.createUser", {"userName": "", **credentials}),
            ):
                with pytest.raises(CommandError) as refused:
                    attempt()
                told.append(str(refused.value))
            request = server.api().server.authAsync("ann", secrets["password"])
            assert request["requestId"] > 0
            logins = (
                {"userName": "ann", "password": secrets["credentials"]},
                {"userName": "ann", "password": secrets["password"]},
                {"token": token, "password": secrets["token"]},
            )
            told += [json.dumps(send(api, server, manifest, **login)) for login in logins]
            unsent = api.send.createDestination(HOST, destinationPort=1)
            waiting = api.send.createTransfer(
                unsent, manifest, userName="ann", password=secrets["credentials"]
            )
            (stage.sources / "got").mkdir()
            got = server.command(
                *("get", "--token", link, "-o", stage.sources / "got"),
                environment={"DXLFT_TOKEN_PASSWORD": secrets["link"]},
            )
            assert got.returncode == 0, got.stderr
            told += [got.stdout, got.stderr]
            superuser = server.superuser()
            changed = {"userName": "ann", "password": secrets["next"]}
            client.call("server.setPassword", {**changed, "oldPassword": secrets["password"]})
            api.disconnect()
            told.append(json.dumps(superuser.server.getEventLog()))
            told.append(json.dumps(superuser.server.getServerInfo()))
            told.append(json.dumps(superuser.send.getTransfers()))
            told.append(json.dumps(superuser.send.getSharedTokens()))
            found = _texts_in(server.home.path)
            told.append(json.dumps(found_names := sorted(found)))
            superuser.send.failTransfer(waiting)
            superuser.send.deleteTransfer(waiting)
            assert heard.ended.wait(TIMEOUT)
    server.kill()
    found |= _texts_in(server.home.path)
    assert any(name.endswith("server.db") for name in found_names)
    whole = [*secrets.values(), ticket, link.partition(".")[2], token.partition(".")[2]]
    for secret in whole:
        assert secret not in server.log
        assert not any(secret in text for text in told)
        assert secret.encode() not in heard.text
        assert [name for name, content in found.items() if secret.encode() in content] == []
    # It was all there to be found.
    assert b"seen" in heard.text or b"transferCreated" in heard.text
    assert "ann" in "".join(told)
    assert any(b"manifest" in content for content in found.values())


def _texts_in(directory: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_nobody_else_on_the_machine_reads_the_state(server: StagedServer) -> None:
    assert server.home.state.stat().st_mode & 0o077 == 0
    for name in ("server.key", "local.ticket"):
        assert (server.home.state / name).stat().st_mode & 0o777 == 0o600
