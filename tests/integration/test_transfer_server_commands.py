"""Commands of ``dxlft`` for the transfer server, as real processes beside a real server."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from jetstream.apiinterface import APIInterface
from jetstream.errors import AuthenticationError, CommandError, ErrorKind
from jetstream.structures import Transfer
from tests.integration.transferstage import (
    MEBIBYTE,
    PASSWORD,
    USER,
    StagedServer,
    TransferStage,
    sending_transfer,
)

AS_USER = {"DXLFT_API_PASSWORD": PASSWORD}


@pytest.fixture(scope="module")
def api(transfer_server: StagedServer) -> APIInterface:
    """An API on which the user has logged on."""
    return transfer_server.logged_on()


@pytest.fixture
def slow_transfer(
    api: APIInterface, transfer_server: StagedServer, module_stage: TransferStage
) -> Iterator[Transfer]:
    """A transfer that sends for seconds, and has begun to."""
    transfer = sending_transfer(api, transfer_server, module_stage.source(16 * MEBIBYTE, "big"))
    yield transfer
    left = [each for each in api.send.getTransfers() if each["status"] not in ("complete", "error")]
    for each in left:
        api.send.failTransfer(each)


def test_users(transfer_server: StagedServer) -> None:
    run = transfer_server.command

    assert run("user", "add", "typed", data="first\nsecond\n").returncode == 1
    added = run("user", "add", "typed", data="typed secret\ntyped secret\n")
    assert added.returncode == 0, added.stderr
    assert "typed secret" not in added.stdout + added.stderr
    transfer_server.logged_on("typed", "typed secret")
    assert re.search(r"^typed +no ", run("user", "list").stdout, re.MULTILINE)

    assert run("user", "password", "typed", data="other\nother\n").returncode == 0
    with pytest.raises(AuthenticationError):
        transfer_server.logged_on("typed", "typed secret")

    assert run("user", "remove", "typed").returncode == 0
    with pytest.raises(AuthenticationError):
        transfer_server.logged_on("typed", "other")


def test_api_prints_json(transfer_server: StagedServer) -> None:
    shown = transfer_server.command("api", "server.getServerInfo")
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["apiControlPort"] == transfer_server.port


def test_api_as_a_user(
    transfer_server: StagedServer, api: APIInterface, slow_transfer: Transfer
) -> None:
    argument = json.dumps({"transferId": slow_transfer["transferId"]})
    command = ("api", "--user", USER, "--wait", "send.suspendTransferAsync", "-")

    wrong = {"DXLFT_API_PASSWORD": "a guess"}
    refused = transfer_server.command(*command, data=argument, environment=wrong)
    assert refused.returncode == 1
    assert "a guess" not in refused.stderr
    assert api.send.getTransfer(slow_transfer)["status"] == "sending"

    shown = transfer_server.command(*command, data=argument, environment=AS_USER)
    assert shown.returncode == 0, shown.stderr
    assert json.loads(shown.stdout)["status"] == "suspended"
    assert api.send.getTransfer(slow_transfer)["status"] == "suspended"


def test_api_reports_errors_in_one_line(transfer_server: StagedServer) -> None:
    failed = transfer_server.command("api", "send.getTransfer", '{"transferId": "987654"}')
    assert failed.returncode == 1
    assert failed.stdout == ""
    (line,) = failed.stderr.splitlines()
    assert line.startswith("dxlft: ")
    assert "987654" in line


@pytest.mark.slow
def test_transfers(
    transfer_server: StagedServer, api: APIInterface, slow_transfer: Transfer
) -> None:
    number = slow_transfer["transferId"]

    def run(*words: str) -> str:
        done = transfer_server.command("transfers", *words, "--user", USER, environment=AS_USER)
        assert done.returncode == 0, done.stderr
        return str(done.stdout)

    assert re.search(rf"^ *{number} +sending ", run("list"), re.MULTILINE)
    run("suspend", number)
    (listed,) = json.loads(run("list", "--json"))
    assert (listed["transferId"], listed["status"]) == (number, "suspended")
    run("priority", number, "7", "--lane", "High")
    run("rate", number, "-1")
    changed = api.send.getTransfer(number)
    assert (changed["priority"], changed["priorityLane"]) == (7, "High")
    assert changed["sendRateMax"] is None
    run("resume", number)
    assert run("watch", number).startswith(f"transfer {number}: 1 file, 16,777,216 bytes")
    assert api.send.getTransfer(number)["status"] == "complete"
    run("delete", number)
    with pytest.raises(CommandError) as caught:
        api.send.getTransfer(number)
    assert caught.value.kind is ErrorKind.NOT_FOUND


def test_failing_a_transfer(
    transfer_server: StagedServer, api: APIInterface, slow_transfer: Transfer
) -> None:
    number = slow_transfer["transferId"]
    command = ("transfers", "fail", number, "not needed", "--user", USER)
    done = transfer_server.command(*command, environment=AS_USER)
    assert done.returncode == 0, done.stderr
    failed = api.send.getTransfer(number)
    assert (failed["status"], failed["errorMessage"]) == ("error", "not needed")


@pytest.mark.slow
def test_sharing_and_getting(
    transfer_server: StagedServer, module_stage: TransferStage, tmp_path: Path
) -> None:
    directory = module_stage.source(3 * MEBIBYTE, "photos/may/one.jpg").parents[1]
    small = module_stage.source(10, "photos/two.jpg")
    run = transfer_server.command

    shared = run("share", directory, "--downloads", "1", "--description", "of May")
    assert shared.returncode == 0, shared.stderr
    token = shared.stdout.strip()
    assert shared.stdout == f"{token}\n"

    got = run("get", "--token", token, "-o", tmp_path / "got")
    assert got.returncode == 0, got.stderr
    found = tmp_path / "got" / "photos"
    assert (found / "may/one.jpg").read_bytes() == (directory / "may/one.jpg").read_bytes()
    assert (found / "two.jpg").read_bytes() == small.read_bytes()

    refused = run("get", "--token", token, "-o", tmp_path / "again")
    assert refused.returncode == 1
    assert token.partition(".")[2] not in refused.stderr
    assert not list((tmp_path / "again").rglob("*.jpg"))

    number = token.partition(".")[0]
    listed = run("share", "--list").stdout
    assert re.search(rf"^{number} .* 1 of 1 .*of May", listed, re.MULTILINE)
    assert run("share", "--revoke", number).returncode == 0
    assert number not in run("share", "--list").stdout


def test_token_with_a_password(
    transfer_server: StagedServer, module_stage: TransferStage, tmp_path: Path
) -> None:
    source = module_stage.source(100, "letter")
    run = transfer_server.command
    shared = run("share", source, "--password", data="for friends\nfor friends\n")
    assert shared.returncode == 0, shared.stderr
    get = ("get", "--token", shared.stdout.strip(), "-o", tmp_path)

    wrong = run(*get, environment={"DXLFT_TOKEN_PASSWORD": "a guess"})
    assert wrong.returncode == 1
    assert not (tmp_path / "letter").exists()

    right = run(*get, environment={"DXLFT_TOKEN_PASSWORD": "for friends"})
    assert right.returncode == 0, right.stderr
    assert (tmp_path / "letter").read_bytes() == source.read_bytes()
    assert "for friends" not in transfer_server.log
