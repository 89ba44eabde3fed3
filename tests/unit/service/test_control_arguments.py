"""The arguments of commands: what is taken, and what errors say."""

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.arguments import MAX_ID, Arguments


def of(**values: Any) -> Arguments:
    return Arguments("send.doSomething", values)


def test_an_unknown_argument_is_named_with_those_that_there_are() -> None:
    arguments = of(name="a", nmae="b")
    arguments.text("name")
    with pytest.raises(CommandError, match=r"takes no argument 'nmae'; it takes name"):
        arguments.finish()


def test_a_missing_argument_is_named() -> None:
    with pytest.raises(CommandError, match=r"send\.doSomething needs the argument 'name'"):
        of().text("name")


@pytest.mark.parametrize("found", ["", "a\0b", "a\ud800", "x" * 5000, 5, True, ["a"], {"a": "b"}])
def test_text_is_text(found: Any) -> None:
    with pytest.raises(CommandError, match="argument 'name'") as caught:
        of(name=found).text("name")
    assert caught.value.kind is ErrorKind.INVALID


@pytest.mark.parametrize("found", [-1, 11, 5.0, "5", True, [], 10**30])
def test_a_whole_number_is_in_its_range(found: Any) -> None:
    with pytest.raises(CommandError, match="whole number from 0 to 10"):
        of(number=found).integer("number", least=0, most=10)


@pytest.mark.parametrize("found", [math.nan, math.inf, -0.5, "1", True, None])
def test_a_number_is_finite_and_in_its_range(found: Any) -> None:
    with pytest.raises(CommandError):
        of(number=found).number("number", least=0)


def test_what_is_left_out_has_its_default() -> None:
    arguments = of(none=None)
    assert arguments.optional_text("none") is None
    assert arguments.optional_integer("number", least=0, most=1) is None
    assert arguments.optional_number("rate", least=0) is None
    assert arguments.choice("mode", [1, 2]) is None
    assert arguments.flag("flag", default=True)
    assert arguments.texts("data") is None
    assert arguments.optional_object_id("id", "transferId") is None
    assert "none" not in arguments


@pytest.mark.parametrize("found", [1, "yes", 0, []])
def test_a_flag_is_true_or_false(found: Any) -> None:
    with pytest.raises(CommandError, match="true or false"):
        of(flag=found).flag("flag", default=False)


@pytest.mark.parametrize("found", [True, "1", 3, 1.0])
def test_a_choice_is_one_of_them(found: Any) -> None:
    with pytest.raises(CommandError, match="one of 1, 2"):
        of(mode=found).choice("mode", {2, 1})


@pytest.mark.parametrize("found", [{"a": 1}, ["a"], "a"])
def test_texts_are_texts(found: Any) -> None:
    with pytest.raises(CommandError):
        of(data=found).texts("data")


@pytest.mark.parametrize("found", [17, "17", {"transferId": "17"}, {"transferId": 17, "a": 1}])
def test_an_object_is_named_by_id_or_structure(found: Any) -> None:
    assert of(id=found).object_id("id", "transferId") == 17


@pytest.mark.parametrize("found", ["", "x", "-1", "1.5", "\u0661", "9" * 50, -1])
def test_what_no_object_can_have_for_an_id_is_none(found: Any) -> None:
    assert of(id=found).object_id("id", "transferId") is None
    assert of(id=found).optional_object_id("id", "transferId") == -1


@pytest.mark.parametrize("found", [True, 1.5, [], {}, {"manifestId": "1"}, {"transferId": []}])
def test_what_is_neither_id_nor_structure_is_refused(found: Any) -> None:
    with pytest.raises(CommandError, match="a structure with the field 'transferId'"):
        of(id=found).object_id("id", "transferId")


@given(st.integers())
def test_ids_are_numbers_that_a_database_can_hold(number: int) -> None:
    found = of(id=number).object_id("id", "transferId")
    assert found is None or 0 <= found <= MAX_ID


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists))
def test_nothing_but_command_errors_comes_of_garbage(found: Any) -> None:
    arguments = of(it=found)
    for take in (
        lambda: arguments.text("it"),
        lambda: arguments.integer("it", least=0, most=9),
        lambda: arguments.number("it", least=0),
        lambda: arguments.flag("it", default=False),
        lambda: arguments.mapping("it"),
        lambda: arguments.object_id("it", "transferId"),
    ):
        with suppress(CommandError):
            take()
