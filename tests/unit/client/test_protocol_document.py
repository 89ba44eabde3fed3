"""The protocol's document says what the code does."""

import re
from dataclasses import fields
from typing import get_args

import pytest

from dxlfiletransferclient.protocol.messages import Message
from dxlfiletransferclient.protocol.parcels import CHECK, DIGEST, sealed
from dxlfiletransferclient.protocol.refusals import ErrorCode, Remedy
from dxlfiletransferclient.protocol.verbs import Verb, topic_of
from tests.processes import ROOT

DOCUMENT = (ROOT / "docs" / "protocol.md").read_text(encoding="utf-8")
REMEDIES = {Remedy.NONE: "no", Remedy.REPEAT: "repeat", Remedy.REOPEN: "reopen"}

MENTIONED_IN_PROSE = {"entries", "results", "entry"}
"""Attributes that travel as the payload, which the text explains without a table."""

NOT_SENT = {"payload_digest"}
"""Attributes that hold again what every message has."""


def code_text(code: ErrorCode) -> str:
    return str(int(code)) if code < 1000 else hex(code)


@pytest.mark.parametrize("code", ErrorCode, ids=lambda code: code.name)
def test_every_error_code_is_in_the_table(code: ErrorCode) -> None:
    row = f"| {code_text(code)} | `{code.name}` | {code.meaning} | {REMEDIES[code.remedy]} |"
    assert row in DOCUMENT.splitlines()


def test_no_other_error_code_is_in_the_table() -> None:
    assert set(re.findall(r"^\| \w+ \| `([A-Z_]+)` \|", DOCUMENT, re.MULTILINE)) == {
        code.name for code in ErrorCode
    }


@pytest.mark.parametrize("verb", Verb)
def test_every_verb_is_in_the_table(verb: Verb) -> None:
    assert re.search(rf"^\| `{verb}` \| .+ \| `\w+Answer` \|$", DOCUMENT, re.MULTILINE)


def test_example_of_a_topic() -> None:
    assert f"    {topic_of(Verb.HELLO)}\n" in DOCUMENT


@pytest.mark.parametrize("kind", get_args(Message), ids=lambda kind: kind.__name__)
def test_every_field_of_a_message_is_explained(kind: type[Message]) -> None:
    assert f"`{kind.__name__}`" in DOCUMENT
    explained = set(re.findall(r"^\| `(\w+)` \| ", DOCUMENT, re.MULTILINE))
    section = section_of(kind.__name__)
    for name in {field.name for field in fields(kind)} - NOT_SENT:
        assert name in explained | MENTIONED_IN_PROSE
        assert f"`{name}`" in section


def section_of(name: str) -> str:
    """The text from the first heading that names a class, or else from its first table."""
    start = DOCUMENT.find(f"`{name}`", DOCUMENT.find("## Messages"))
    end = DOCUMENT.find("\n### ", start)
    return DOCUMENT[start : end if end >= 0 else None]


def test_example_of_a_check() -> None:
    parcel = sealed({"file_id": "a", "name": "n"})
    assert f"| `{DIGEST}` | `{parcel.fields[DIGEST]}` |" in DOCUMENT
    assert f"has the `{CHECK}` `{parcel.fields[CHECK]}`." in DOCUMENT
