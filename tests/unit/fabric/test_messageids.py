"""Identifiers of messages: of the official client's form, and never the same twice."""

import re
import uuid
from concurrent.futures import ThreadPoolExecutor

from dxlclient.message import Event
from pytest_mock import MockerFixture

from dxlfabric.messageids import MessageIds

FORM = re.compile(r"\{[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}\}")


def test_form_is_that_of_the_official_client() -> None:
    assert FORM.fullmatch(Event("/a/topic").message_id)
    identifier = MessageIds().next()
    assert FORM.fullmatch(identifier)
    assert identifier == "{" + str(uuid.UUID(identifier)) + "}"
    assert uuid.UUID(identifier).version == 4


def test_threads_and_makers_never_make_the_same() -> None:
    makers = [MessageIds(), MessageIds()]
    each = 5_000

    def make(maker: MessageIds) -> list[str]:
        return [maker.next() for _ in range(each)]

    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(make, makers * 2))
    assert len({identifier for found in made for identifier in found}) == 4 * each


def test_counting_goes_on_at_the_highest_number(mocker: MockerFixture) -> None:
    last = uuid.UUID("12345678-1234-4234-8234-ffffffffffff")
    mocker.patch("dxlfabric.messageids.uuid.uuid4", return_value=last)
    maker = MessageIds()
    assert maker.next() == "{12345678-1234-4234-8234-ffffffffffff}"
    assert maker.next() == "{12345678-1234-4234-8234-000000000000}"
    assert maker.next() == "{12345678-1234-4234-8234-000000000001}"
