"""The guide has a table of every structure and of all constants, as they are."""

import re
from typing import Any

import pytest

from jetstream import constants, errors, structures
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs" / "jetstream.md").read_text(encoding="utf-8")
OWNED = {"owner", "ownerToken", "ownerTokenSession", "userData"}
STRUCTURES = [
    ("Manifest", structures.Manifest),
    ("Manifest files", structures.ManifestFiles),
    ("File mapping", structures.FileMapping),
    ("Transfer", structures.Transfer),
    ("Destination", structures.Destination),
    ("Connection", structures.Connection),
    ("Token", structures.Token),
    ("Request status", structures.RequestStatus),
    ("Receive transfer", structures.ReceiveTransfer),
    ("Source", structures.Source),
    ("User", structures.User),
]


def section(title: str) -> str:
    found = re.search(rf"^##+ {title}\n(.*?)(?=^##|\Z)", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert found, title
    return found[1]


def first_cells(text: str) -> list[str]:
    cells = re.findall(r"^\| (.+?) \|", text, re.MULTILINE)
    return [name for cell in cells for name in re.findall(r"`(\w+)`", cell)]


@pytest.mark.parametrize(("title", "kind"), STRUCTURES, ids=[title for title, _ in STRUCTURES])
def test_structures(title: str, kind: Any) -> None:
    fields = first_cells(section(title))
    assert len(fields) == len(set(fields))
    wanted = kind.__required_keys__ | kind.__optional_keys__
    assert set(fields) == wanted - (OWNED if "owner" in wanted else set())


def test_common_fields() -> None:
    assert set(first_cells(section("Structures"))) == OWNED


def test_constants() -> None:
    rows = re.findall(r"^\| `(\w+)` \| (\S+) \|", section("Constants"), re.MULTILINE)
    assert {name for name, _ in rows} | set(first_cells(section("Constants"))) == set(
        constants.__all__
    )
    for name, value in rows:
        assert str(getattr(constants, name)) == value.strip('`"')
    assert len(rows) > 30


def test_errors() -> None:
    named = set(first_cells(section("Errors")))
    assert named == set(errors.__all__) - {"JetstreamError", "ErrorKind"}
    assert all(f"`{kind}`" in section("Errors") for kind in errors.ErrorKind)


def test_server_information() -> None:
    from dxlfiletransferservice.control.upkeep.serverinformation import ServerFacts

    facts = ServerFacts(
        server_id="", server_uid="", server_name="", host_name="", version="", public_key=""
    )
    told = set(facts.structure(restricted=False, sandboxed=None)) | {"configuration"}
    assert set(first_cells(section("Server information"))) == told
