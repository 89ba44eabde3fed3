"""What the server tells about itself, and to whom."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from dxlfiletransferclient.control.constants import API_VERSION
from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferservice.control.database import Database
from dxlfiletransferservice.control.principals import Principal
from dxlfiletransferservice.control.upkeep.authorizedsenders import AuthorizedSenders
from dxlfiletransferservice.control.upkeep.lifetimesettings import change_lifetimes
from dxlfiletransferservice.control.upkeep.servercommands import ServerCommands
from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts, server_uid
from tests.unit.service.calling import ANN, BOB, ROOT, call, opened

NAME = "server.getServerInfo"


class Places:
    """Confines one user."""

    def places(self, principal: Principal | None) -> Mapping[str, Path] | None:
        return {"": Path("/srv/bob")} if principal == BOB else None


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with opened(tmp_path) as database:
        yield database


def facts(**values: Any) -> ServerFacts:
    known: dict[str, Any] = {
        "server_id": "{1}",
        "server_uid": "2",
        "server_name": "Depot",
        "host_name": "host",
        "version": "2.0.0",
        "public_key": "dxlft1-x",
        "configuration": {"database": "sqlite"},
    }
    return ServerFacts(**{**known, **values})


def ask(database: Database, principal: Principal | None, **values: Any) -> Any:
    commands = ServerCommands(facts(**values), database, AuthorizedSenders(database), Places())
    return commands.handlers()[NAME](call(NAME, principal=principal))


@pytest.mark.parametrize("principal", [None, ANN, ROOT])
def test_everybody_is_told_what_the_server_is(
    database: Database, principal: Principal | None
) -> None:
    found = ask(
        database,
        principal,
        least_cipher=Cipher.AES_256,
        certificate_days=lambda: 30,
        external_address="192.0.2.1:8886",
        require_authentication=True,
        store_topic="/store",
    )
    expected = {
        "allowRemoteControl": True,
        "apiControlPort": 8886,
        "apiVersion": API_VERSION,
        "APITokensAvailable": True,
        "authRequired": True,
        "certificateValidation": 30,
        "encryptionAvailable": True,
        "eventLogAvailable": True,
        "hostName": "host",
        "minCipher": 3,
        "multiplexAvailable": True,
        "publicKey": "dxlft1-x",
        "serverExternalAddress": "192.0.2.1:8886",
        "serverId": "{1}",
        "serverName": "Depot",
        "serverUid": "2",
        "sharedTokensAvailable": True,
        "version": "2.0.0",
    }
    assert {name: found[name] for name in expected} == expected
    assert isinstance(found["revision"], int)
    assert {"bandwidthLimits", "license", "receiver"} <= set(found)
    assert found["receiver"]["authenticationRequired"] is True
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize("principal", [None, ANN, Principal("root", may_raise=True)])
def test_the_configuration_is_for_superusers(
    database: Database, principal: Principal | None
) -> None:
    assert "configuration" not in ask(database, principal)
    change_lifetimes(database, transfer=7, manifest=None)
    found = ask(database, ROOT)["configuration"]
    assert found["database"] == "sqlite"
    assert found["garbageCollection"]["transferLifetimeSeconds"] == 7


def test_who_is_confined_is_told_so(database: Database) -> None:
    assert ask(database, None)["sandboxed"] is None
    assert ask(database, ANN)["sandboxed"] is False
    assert ask(database, BOB)["sandboxed"] is True


def test_whether_only_listed_senders_may_send_is_told(database: Database) -> None:
    name = "onlyAuthorizedClientsAllowed"
    assert ask(database, None)["receiver"][name] is False
    AuthorizedSenders(database).restrict(only_listed=True)
    assert ask(database, None)["receiver"][name] is True


def test_it_takes_no_arguments(database: Database) -> None:
    commands = ServerCommands(facts(), database, AuthorizedSenders(database), Places())
    with pytest.raises(CommandError, match="takes no argument"):
        commands.handlers()[NAME](call(NAME, {"x": 1}))


def test_the_persistent_id_is_of_the_database(tmp_path: Path) -> None:
    for directory in ("a", "b"):
        (tmp_path / directory).mkdir()
    with opened(tmp_path / "a") as first:
        uid = server_uid(first)
    with opened(tmp_path / "a") as again:
        assert server_uid(again) == uid
    with opened(tmp_path / "b") as other:
        assert server_uid(other) != uid
    assert len(uid) == 32
