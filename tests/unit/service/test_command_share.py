import os
from pathlib import Path
from typing import Any

import pytest
from pytest_mock import MockerFixture

from dxlfiletransferclient.control.errors import CommandError
from dxlfiletransferservice.command import ExitCode
from dxlfiletransferservice.command.share import MAPPINGS_AT_ONCE
from tests.unit.service.controlledserver import (
    PUBLIC_KEY,
    ControlledServer,
    controlled_server,
    problem,
)

MANIFEST = {
    "manifestId": "5",
    "status": "pending",
    "processing": True,
    "errorMessage": None,
    "totalFiles": None,
    "totalSize": None,
}
COMPLETE = MANIFEST | {
    "status": "complete",
    "processing": False,
    "totalFiles": 3,
    "totalSize": 1234,
}
TOKEN = {
    "token": "7-00aa.secret",
    "description": None,
    "expiryTime": None,
    "passwordRequired": False,
    "downloadCount": 0,
    "downloadLimit": None,
}


@pytest.fixture
def server(mocker: MockerFixture, tmp_path: Path) -> ControlledServer:
    made = controlled_server(mocker, tmp_path)
    looks = iter([MANIFEST, MANIFEST, COMPLETE])
    made.answers |= {
        "send.createManifest": MANIFEST,
        "send.addManifestMappings": MANIFEST,
        "send.getManifest": lambda _: next(looks),
        "send.deleteManifest": None,
        "send.createSharedToken": TOKEN,
    }
    return made


def test_share(server: ControlledServer) -> None:
    result = server.run("share", "/srv/report.pdf", "/srv/photos/")
    assert result.exit_code == 0
    assert result.stdout == "7-00aa.secret\n"
    opens, until, command = result.stderr.splitlines()
    assert opens == "opens 3 files, 1,234 bytes: report.pdf, photos"
    assert until == "until it is revoked"
    assert command.endswith(f"dxlft get --token 7-00aa.secret --server {PUBLIC_KEY}")
    (made,) = server.named("send.createManifest")
    assert made == {
        "mappings": {"report.pdf": "/srv/report.pdf", "photos": "/srv/photos"},
        "more": False,
    }
    assert server.named("send.createSharedToken") == [{"manifestId": "5"}]
    assert server.named("send.deleteManifest") == []


def test_relative_paths_count_from_here(
    server: ControlledServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    server.run("share", "a", "./b/../c/", ".")
    (made,) = server.named("send.createManifest")
    here = os.path.realpath(tmp_path)
    assert made["mappings"] == {"a": f"{here}/a", "c": f"{here}/c", tmp_path.name: here}


def test_limits(server: ControlledServer) -> None:
    server.answers["send.createSharedToken"] = TOKEN | {
        "expiryTime": 1_700_000_000_000_000,
        "downloadLimit": 1,
        "passwordRequired": True,
    }
    options = ["--password", "--downloads", "1", "--hours", "1.5", "--description", "for ann"]
    result = server.run("share", "/srv/a", *options, input="secret\nsecret\n")
    until = result.stderr.splitlines()[1]
    assert until == "until 2023-11-14T22:13:20Z, for 1 download, with its password"
    assert "secret" not in result.stderr.replace("7-00aa.secret", "")
    assert server.named("send.createSharedToken") == [
        {
            "manifestId": "5",
            "password": "secret",
            "downloadLimit": 1,
            "timeLimitSeconds": 5400.0,
            "description": "for ann",
        }
    ]


def test_many_paths_go_in_pieces(server: ControlledServer) -> None:
    paths = [f"/srv/{number}" for number in range(2 * MAPPINGS_AT_ONCE + 1)]
    assert server.run("share", *paths).exit_code == 0
    (first,) = server.named("send.createManifest")
    second, third = server.named("send.addManifestMappings")
    assert (first["more"], second["more"], third["more"]) == (True, True, False)
    assert first["mappings"] | second["mappings"] | third["mappings"] == {
        path.rpartition("/")[2]: path for path in paths
    }
    assert {second["manifestId"], third["manifestId"]} == {"5"}


def test_manifest_that_fails_is_removed(server: ControlledServer) -> None:
    failed = MANIFEST | {"status": "error", "processing": False, "errorMessage": "it is a socket"}
    server.answers["send.getManifest"] = failed
    result = server.run("share", "/srv/a")
    assert (result.exit_code, result.stdout) == (ExitCode.FAILURE, "")
    assert problem(result) == "dxlft: this cannot be shared: it is a socket"
    assert server.named("send.deleteManifest") == [{"manifestId": "5"}]
    assert server.named("send.createSharedToken") == []


def test_error_of_the_removal_hides_no_other(server: ControlledServer) -> None:
    server.answers["send.getManifest"] = CommandError("first")
    server.answers["send.deleteManifest"] = CommandError("second")
    assert problem(server.run("share", "/srv/a")) == "dxlft: first"


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "name a PATH to share"),
        (["a", "--list"], "one at a time"),
        (["--list", "--revoke", "x"], "one at a time"),
        (["a", "--revoke", "x"], "one at a time"),
        ([""], "a PATH is empty"),
        (["/"], "has no name"),
        (["/x/a", "/y/a"], "/x/a and /y/a would both be called 'a'"),
        (["a", "--downloads", "0"], "--downloads"),
        (["a", "--hours", "0"], "--hours"),
    ],
)
def test_usage(server: ControlledServer, arguments: list[str], words: str) -> None:
    result = server.run("share", *arguments)
    assert result.exit_code == ExitCode.USAGE
    assert words in problem(result)
    assert server.clients == []


def test_the_same_path_twice_is_one(server: ControlledServer) -> None:
    assert server.run("share", "/srv/a", "/srv/./a").exit_code == 0


def test_list(server: ControlledServer) -> None:
    def page(given: dict[str, Any]) -> list[dict[str, Any]]:
        if given.get("after") == "7-00aa":
            return []
        first = TOKEN | {"token": "1-bb", "downloadCount": 1200, "downloadLimit": 2000}
        last = {"description": "for\x1b ann", "expiryTime": 1_700_000_000_000_000}
        return [first, TOKEN | last | {"token": "7-00aa", "passwordRequired": True}]

    server.answers["send.getSharedTokens"] = page
    header, first, last = server.run("share", "--list").stdout.splitlines()
    assert header.split() == ["TOKEN", "EXPIRES", "DOWNLOADS", "PASSWORD", "DESCRIPTION"]
    assert first.split() == ["1-bb", "never", "1,200", "of", "2,000", "no"]
    assert last.split()[:4] == ["7-00aa", "2023-11-14T22:13:20Z", "0", "yes"]


def test_empty_list(server: ControlledServer) -> None:
    server.answers["send.getSharedTokens"] = []
    assert server.run("share", "--list").stdout == ""


def test_revoke(server: ControlledServer) -> None:
    server.answers["send.deleteSharedToken"] = None
    result = server.run("share", "--revoke", "7-00aa.secret")
    assert result.exit_code == 0
    assert result.stderr == "revoked the token 7-00aa\n"
    assert server.named("send.deleteSharedToken") == [{"token": "7-00aa.secret"}]
