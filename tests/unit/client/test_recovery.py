"""The search for an instance: what it asks, when, and whom it takes."""

import json

import pytest

from dxlfiletransferclient.exchange.instances import REGISTRY_TOPIC, Instance
from dxlfiletransferclient.exchange.recovery import (
    FIRST_WAIT,
    LONGEST_PAUSE,
    LONGEST_WAIT,
    Question,
    Search,
)
from dxlfiletransferclient.protocol.coding import encode
from dxlfiletransferclient.protocol.messages import HelloAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from tests.unit.client.scriptedbus import damaged

TOPIC = "/t/v2/hello"
NO_SERVICE = RefusedError(ErrorCode.NO_SERVICE, "unable to locate service")


def hello(store_id: str) -> HelloAnswer:
    return HelloAnswer(revision=0, store_id=store_id, segment_size=1, window=1, verbs="hello")


def instance(service_id: str, store_id: str) -> Instance:
    return Instance(service_id, hello(store_id))


def registry(*service_ids: str) -> Parcel:
    services = {each: {"requestChannels": [TOPIC]} for each in service_ids}
    return Parcel({}, json.dumps({"services": services}).encode())


class Conversation:
    """Asks the questions of a search, and answers them as a test says."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.open: dict[str, Question] = {}

    def ask(self, now: float) -> list[str]:
        """Return whom it asks: a service id, ``any``, or ``registry``."""
        asked = self.search.questions(now)
        names = [
            "registry" if each.topic == REGISTRY_TOPIC else each.service_id or "any"
            for each in asked
        ]
        self.open.update(zip(names, asked, strict=True))
        return names

    def tell(self, name: str, outcome: Parcel | RefusedError | str, now: float) -> None:
        question = self.open[name]
        if isinstance(outcome, RefusedError):
            self.search.refused(question, outcome, now)
            return
        parcel = encode(hello(outcome)) if isinstance(outcome, str) else outcome
        self.search.answered(question, parcel, "{picked}" if name == "any" else name, now)

    def outcome(self, now: float) -> str | None:
        found = self.search.outcome(now)
        return found.service_id if found else None


def start() -> Conversation:
    return Conversation(Search(TOPIC, 10.0, key="key"))


def lost(**more: object) -> Conversation:
    options = {"failover_after": 15.0, **more}
    return Conversation(
        Search(TOPIC, 10.0, key="key", lost=instance("{a}", "A"), **options)  # type: ignore[arg-type]
    )


def test_at_the_start_everybody_is_greeted_and_one_chosen() -> None:
    search = start()
    assert search.ask(10.0) == ["registry", "any"]
    search.tell("registry", registry("{a}", "{b}"), 10.1)
    assert search.ask(10.1) == ["{a}", "{b}"]
    search.tell("{a}", "A", 10.2)
    assert search.outcome(10.2) is None
    search.tell("{b}", "B", 10.3)
    assert search.outcome(10.3) in {"{a}", "{b}"}


def test_one_that_is_gone_does_not_hold_up_the_others() -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{a}", "{b}"), 10.0)
    search.ask(10.0)
    search.tell("{a}", NO_SERVICE, 10.1)
    search.tell("{b}", "B", 10.1)
    assert search.outcome(10.1) == "{b}"


def test_one_that_is_silent_is_asked_twice_before_it_is_passed_over() -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{a}", "{b}"), 10.0)
    search.ask(10.0)
    search.tell("{b}", "B", 10.1)
    assert search.search.due() == 10.0 + FIRST_WAIT
    assert search.ask(11.0) == []
    assert search.outcome(11.0) is None
    now = search.search.due()
    assert search.ask(now) == ["registry"]
    search.tell("registry", registry("{a}", "{b}"), now)
    assert search.ask(now) == ["{a}", "{b}"]
    search.tell("{b}", "B", now)
    end = search.search.due()
    assert end == now + 2 * FIRST_WAIT
    assert search.ask(end) == []
    assert search.outcome(end) == "{b}"


@pytest.mark.parametrize(
    "useless", [registry(), Parcel({}, b"nonsense"), NO_SERVICE, None], ids=str
)
def test_without_the_registry_anybody_will_do(useless: Parcel | RefusedError | None) -> None:
    search = start()
    assert search.ask(10.0) == ["registry", "any"]
    search.tell("any", "A", 10.0)
    assert search.outcome(10.0) is None
    now = 10.0 if useless else 10.0 + FIRST_WAIT
    if useless:
        search.tell("registry", useless, now)
    assert search.ask(now) == []
    assert search.outcome(now) == "{picked}"


@pytest.mark.parametrize("useless", [registry(), NO_SERVICE, None], ids=str)
def test_without_the_registry_anybody_is_asked_again(
    useless: Parcel | RefusedError | None,
) -> None:
    search = start()
    search.ask(10.0)
    now = 10.0 + FIRST_WAIT
    if useless:
        search.tell("registry", useless, 10.0)
    assert search.ask(now) == []
    assert not search.search.nobody
    now = search.search.due()
    assert search.ask(now) == ["registry"]
    if useless:
        search.tell("registry", useless, now)
    else:
        now = search.search.due()
    assert search.ask(now) == ["any"]
    search.tell("any", "A", now)
    assert search.outcome(now) == "{picked}"


def test_a_single_one_is_not_greeted_again_while_a_hello_is_on_its_way() -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{picked}"), 10.1)
    assert search.ask(10.1) == []
    assert search.outcome(10.1) is None
    search.tell("any", "A", 10.2)
    assert search.outcome(10.2) == "{picked}"


def test_who_has_answered_already_is_not_greeted_again() -> None:
    search = start()
    search.ask(10.0)
    search.tell("any", "A", 10.1)
    assert search.outcome(10.1) is None
    search.tell("registry", registry("{b}", "{picked}"), 10.1)
    assert search.ask(10.1) == ["{b}"]
    assert search.outcome(10.1) is None
    search.tell("{b}", "B", 10.2)
    assert [each.service_id for each in search.search.alive] == ["{b}", "{picked}"]
    assert search.outcome(10.2) is not None


def test_a_single_one_is_greeted_if_nobody_was_there_before() -> None:
    search = start()
    search.ask(10.0)
    search.tell("any", NO_SERVICE, 10.1)
    search.tell("registry", registry("{new}"), 10.1)
    assert not search.search.nobody
    assert search.ask(10.1) == ["{new}"]
    search.tell("{new}", "A", 10.2)
    assert search.outcome(10.2) == "{new}"


@pytest.mark.parametrize("answer", [RefusedError(ErrorCode.BUSY, "busy"), NO_SERVICE, None])
def test_where_each_is_greeted_the_hello_to_anybody_holds_up_nothing(
    answer: RefusedError | None,
) -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{a}", "{b}"), 10.1)
    search.ask(10.1)
    if answer:
        search.tell("any", answer, 10.2)
    search.tell("{a}", "A", 10.2)
    assert search.outcome(10.2) is None
    search.tell("{b}", "B", 10.2)
    assert search.outcome(10.2) in {"{a}", "{b}"}


def test_whoever_is_ending_is_not_taken_though_the_hello_to_anybody_reached_it() -> None:
    search = Conversation(Search(TOPIC, 10.0, key="key", leaving={"{picked}"}))
    search.ask(10.0)
    search.tell("registry", registry("{b}"), 10.0)
    assert search.ask(10.0) == []
    search.tell("any", "A", 10.1)
    assert search.outcome(10.1) is None
    assert not search.search.nobody
    now = search.search.due()
    search.ask(now)
    search.tell("registry", registry("{b}"), now)
    assert search.ask(now) == ["{b}"]
    search.tell("{b}", "B", now)
    assert search.outcome(now) == "{b}"


def test_anybody_is_waited_for_where_all_that_are_known_are_ending() -> None:
    search = Conversation(Search(TOPIC, 10.0, key="key", leaving={"{a}", "{b}"}))
    search.ask(10.0)
    search.tell("registry", registry("{a}", "{b}"), 10.0)
    assert search.ask(10.0) == []
    assert search.search.due() == 10.0 + FIRST_WAIT
    search.tell("any", "C", 10.1)
    assert search.outcome(10.1) == "{picked}"


def test_a_late_answer_does_not_stand_for_one_of_this_round() -> None:
    search = lost(failover_after=0.0)
    search.ask(10.0)
    search.tell("{a}", NO_SERVICE, 10.0)
    search.tell("registry", registry("{b}"), 10.0)
    search.ask(10.0)
    late = search.open["{b}"]
    search.ask(10.0 + FIRST_WAIT)
    now = search.search.due()
    assert search.ask(now) == ["registry", "{a}"]
    search.search.answered(late, encode(hello("B")), "{b}", now)
    search.tell("{a}", NO_SERVICE, now)
    search.tell("registry", registry("{b}"), now)
    assert search.ask(now) == ["{b}"]
    search.tell("{b}", NO_SERVICE, now)
    assert search.outcome(now) is None


def test_nobody_is_sure_only_when_all_have_answered() -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry(), 10.0)
    search.ask(10.0)
    known = [search.search.nobody]
    search.tell("any", NO_SERVICE, 10.1)
    assert [*known, search.search.nobody] == [False, True]
    assert search.search.refusal is NO_SERVICE


def test_one_that_the_registry_tells_of_may_be_starting_anew() -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{old}"), 10.0)
    search.ask(10.0)
    search.tell("any", NO_SERVICE, 10.1)
    known = [search.search.nobody]
    now = search.search.due()
    assert now <= 10.5
    search.ask(now)
    search.tell("registry", registry("{old}"), now)
    search.ask(now)
    search.tell("{old}", NO_SERVICE, now)
    assert [*known, search.search.nobody] == [False, True]


@pytest.mark.parametrize(
    "passing", [damaged(encode(hello("A"))), RefusedError(ErrorCode.BUSY, "busy")], ids=str
)
def test_what_may_pass_is_asked_again(passing: Parcel | RefusedError) -> None:
    search = start()
    search.ask(10.0)
    search.tell("registry", registry("{a}"), 10.0)
    search.ask(10.0)
    search.tell("any", passing, 10.1)
    assert not search.search.nobody
    assert search.outcome(10.1) is None
    now = search.search.due()
    search.ask(now)
    search.tell("registry", registry("{a}"), now)
    search.ask(now)
    search.tell("{a}", "A", now)
    assert search.outcome(now) == "{a}"


def test_the_lost_one_is_asked_without_the_registry_and_taken_at_once() -> None:
    search = lost()
    assert search.ask(10.0) == ["registry", "{a}"]
    search.tell("{a}", "A", 10.1)
    assert search.outcome(10.1) == "{a}"


def test_another_one_with_its_store_is_taken_at_once() -> None:
    search = lost()
    search.ask(10.0)
    search.tell("{a}", NO_SERVICE, 10.1)
    search.tell("registry", registry("{b}", "{c}"), 10.1)
    assert search.ask(10.1) == ["{b}", "{c}"]
    search.tell("{b}", "B", 10.2)
    assert search.outcome(10.2) is None
    search.tell("{c}", "A", 10.2)
    assert search.outcome(10.2) == "{c}"


def test_any_other_one_is_taken_after_a_while_if_it_is_still_there() -> None:
    search = lost()
    now = 10.0
    while now < 25.0:
        search.ask(now)
        search.tell("registry", registry("{b}"), now)
        search.tell("{a}", NO_SERVICE, now)
        search.ask(now)
        search.tell("{b}", "B", now)
        assert search.outcome(now) is None
        assert 0 < search.search.due() - now <= LONGEST_PAUSE
        now = search.search.due()
    search.ask(now)
    search.tell("registry", registry("{b}"), now)
    search.tell("{a}", NO_SERVICE, now)
    search.ask(now)
    search.tell("{b}", NO_SERVICE, now)
    assert search.outcome(now) is None
    now = search.search.due()
    search.ask(now)
    search.tell("registry", registry("{b}"), now)
    search.tell("{a}", NO_SERVICE, now)
    search.ask(now)
    search.tell("{b}", "B", now)
    assert search.outcome(now) == "{b}"


def test_whoever_is_ending_is_not_asked_and_not_taken() -> None:
    leaving = {"{a}"}
    search = lost(leaving=leaving)
    assert search.ask(10.0) == ["registry"]
    search.tell("registry", registry("{a}", "{b}"), 10.0)
    assert search.ask(10.0) == ["{b}"]
    leaving.add("{b}")
    search.tell("{b}", "A", 10.1)
    assert search.outcome(10.1) is None


def test_a_late_answer_counts() -> None:
    search = lost()
    search.ask(10.0)
    late = search.open["{a}"]
    search.tell("registry", registry("{b}"), 10.0)
    search.ask(10.0)
    search.tell("{b}", "B", 10.0)
    search.ask(11.0)
    search.search.answered(late, encode(hello("A")), "{a}", 11.1)
    assert search.outcome(11.1) == "{a}"


def test_it_does_not_begin_before_its_time_and_waits_within_bounds() -> None:
    search = lost()
    assert search.ask(9.0) == []
    assert search.search.due() == 10.0
    now = 10.0
    for _ in range(20):
        search.ask(now)
        due = search.search.due()
        assert now < due <= now + LONGEST_WAIT
        now = due
    assert search.search.rounds >= 5
    assert search.search.oldest_round == search.search.rounds - 1
