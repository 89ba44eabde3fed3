"""Jobs whose requests travel in sessions, driven by the engine over a bad bus."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import pytest

from dxlfiletransferclient.errors import NoAnswerError
from dxlfiletransferclient.exchange.engine import Engine, EngineOptions
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer, HelloAnswer, StatusRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import AdmitRequest, SealedRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing import channel as channel_module
from dxlfiletransferclient.sealing.admission import Admission, Cipher
from dxlfiletransferclient.sealing.guardedjob import GuardedJob
from dxlfiletransferclient.sealing.passage import MOST_LOSSES, MOST_UNPROVEN, Passage
from tests.unit.client.scriptedbus import (
    ALL_VERBS,
    DONE,
    Asked,
    Outcome,
    ScriptedBus,
    Upload,
    damaged,
    uploads,
)
from tests.unit.client.sealedservice import ALICE, BOB, MALLORY, SealedService, admission


@dataclass
class Receiver:
    """A transfer server on a scripted bus.

    ``clear`` answers a request in the clear, before anything of it is looked at; ``admit`` and
    ``sealed`` say what comes of the requests that are not.
    """

    bus: ScriptedBus
    service: SealedService = field(default_factory=SealedService)
    verbs: str = ALL_VERBS
    key: str | None = BOB.public
    clear: Callable[[Asked], Outcome] = lambda _asked: None
    service_id: str = "{one}"

    def __post_init__(self) -> None:
        self.bus.serve(self.service_id, answer=self.answer, hello=self.hello)

    def hello(self, _asked: Asked) -> Outcome:
        return encode(
            HelloAnswer(
                revision=0,
                store_id="store",
                segment_size=1000,
                window=2**20,
                verbs=self.verbs,
                public_key=self.key,
            )
        )

    def answer(self, asked: Asked) -> Outcome:
        outcome = self.clear(asked)
        if outcome is not None:
            return outcome
        try:
            return self.service.answer(Verb(asked.verb), asked.parcel)
        except RefusedError as error:
            return error

    def restart(self, new: str = "{two}") -> None:
        """Begin anew as another instance of the same store, which knows no session."""
        del self.bus.instances[self.service_id]
        self.service.forget()
        self.service_id = new
        self.bus.serve(new, answer=self.answer, hello=self.hello)

    @property
    def numbers(self) -> list[str]:
        """The numbers of the segments that were opened."""
        return [each.parcel.fields["number"] for each in self.service.opened]


@pytest.fixture
def bus() -> Iterator[ScriptedBus]:
    """A bus on which no test may leave a token behind."""
    bus = ScriptedBus()
    yield bus
    assert bus.outstanding == set()


@pytest.fixture
def receiver(bus: ScriptedBus) -> Receiver:
    return Receiver(bus)


def passage(
    cipher: Cipher = Cipher.AES_256,
    *,
    key: str | None = None,
    admissions: Admission | Callable[[], Admission] | None = None,
) -> Passage:
    return Passage(ALICE, admissions or admission(cipher), peer_key=key)


def run(bus: ScriptedBus, way: Passage, *jobs: Job, patience: float = 120.0) -> Engine:
    engine = Engine(bus, options=EngineOptions(patience=patience), passage=way)
    engine.run(jobs)
    return engine


def first(outcome: Outcome, verb: Verb, *, count: int = 1) -> Callable[[Asked], Outcome]:
    """Answer the first requests of a verb so, and nothing else."""
    left = [count]

    def answer(asked: Asked) -> Outcome:
        if asked.verb != verb or not left[0]:
            return None
        left[0] -= 1
        return outcome

    return answer


@pytest.mark.parametrize("cipher", Cipher)
def test_everything_but_the_greeting_travels_in_the_session(
    bus: ScriptedBus, receiver: Receiver, cipher: Cipher
) -> None:
    way = passage(cipher)
    jobs = list(uploads(10, segments=5))
    run(bus, way, *jobs)
    assert all(job.complete for job in jobs)
    assert set(bus.verbs()) == {"hello", "admit", "sealed"}
    assert bus.verbs().count("admit") == 1
    assert len(receiver.service.opened) == 50
    assert receiver.service.admissions == [(ALICE.public, admission(cipher))]
    assert way.cipher is cipher
    assert way.session is not None
    assert way.peer == BOB.public


def test_a_question_travels_in_the_session_too(bus: ScriptedBus, receiver: Receiver) -> None:
    engine = Engine(bus, passage=passage())
    for _ in range(3):
        assert engine.ask(Verb.STATUS, StatusRequest(file_id="a"), DoneAnswer) == DoneAnswer()
    assert [each.verb for each in receiver.service.opened] == [Verb.STATUS] * 3
    assert bus.verbs() == ["hello", "admit", "sealed", "sealed", "sealed"]


def test_without_a_passage_nothing_is_sealed(bus: ScriptedBus) -> None:
    bus.serve("{one}")
    job = Upload(2)
    Engine(bus).run([job])
    assert bus.verbs() == ["hello", "segment", "segment"]


def test_jobs_may_have_sessions_of_their_own(bus: ScriptedBus, receiver: Receiver) -> None:
    engine = Engine(bus)
    jobs = list(uploads(3))
    ways = [Passage(ALICE, admission(), hello=lambda: engine.hello) for _ in jobs]
    engine.run(GuardedJob(job, way) for job, way in zip(jobs, ways, strict=True))
    assert all(job.complete for job in jobs)
    assert len({way.session for way in ways}) == 3


def test_a_cipher_that_is_higher_than_asked_for_is_used(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    receiver.service.cipher = Cipher.AES_256
    way, job = passage(Cipher.NONE), Upload(3)
    run(bus, way, job)
    assert job.complete
    assert way.cipher is Cipher.AES_256


def test_a_cipher_that_is_lower_ends_it_before_anything_is_sent(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    receiver.service.cipher = Cipher.AUTHENTICATED
    job = Upload()
    run(bus, passage(Cipher.AES_128), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.CIPHER)
    assert "cipher 1, but 2 is the least" in str(job.error)
    assert bus.verbs() == ["hello", "admit"]


def test_a_receiver_without_sessions_gets_nothing(bus: ScriptedBus, receiver: Receiver) -> None:
    receiver.verbs = "hello open segment"
    job = Upload()
    run(bus, passage(), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.CIPHER)
    assert "admits nobody" in str(job.error)
    assert bus.verbs() == ["hello"]


@pytest.mark.parametrize("told", [None, "nonsense"])
def test_a_receiver_without_a_key_gets_nothing(
    bus: ScriptedBus, receiver: Receiver, told: str | None
) -> None:
    receiver.key = told
    job = Upload()
    run(bus, passage(), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.CIPHER)
    assert bus.verbs() == ["hello"]


def test_a_key_that_is_known_need_not_be_told(bus: ScriptedBus, receiver: Receiver) -> None:
    receiver.key = None
    job = Upload()
    run(bus, passage(key=f" {BOB.public}\n"), job)
    assert job.complete


def test_a_receiver_with_another_key_gets_nothing(bus: ScriptedBus, receiver: Receiver) -> None:
    receiver.service.key = MALLORY
    receiver.key = MALLORY.public
    job = Upload()
    run(bus, passage(key=BOB.public), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.DENIED)
    assert BOB.public in str(job.error)
    assert MALLORY.public in str(job.error)
    assert bus.verbs() == ["hello"]


def test_a_receiver_that_only_says_that_it_has_the_key_gets_nothing_it_can_read(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    receiver.service.key = MALLORY
    job = Upload()
    run(bus, passage(key=BOB.public), job)
    assert isinstance(job.error, RefusedError)
    assert "without proof" in str(job.error)
    assert set(bus.verbs()) == {"hello", "admit"}
    assert receiver.service.admissions == []


def test_no_key_at_all_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="no public key"):
        passage(key="nonsense")


def test_a_wrong_password_ends_all_jobs_at_once(bus: ScriptedBus, receiver: Receiver) -> None:
    text = "user or password is wrong"
    receiver.service.refusal = RefusedError(ErrorCode.DENIED, text)
    jobs = list(uploads(50))
    run(bus, passage(), *jobs)
    for job in jobs:
        assert isinstance(job.error, RefusedError)
        assert job.error.means(ErrorCode.DENIED)
        assert str(job.error) == text
    assert bus.verbs() == ["hello", "admit"]


def test_the_next_call_may_have_the_right_password(bus: ScriptedBus, receiver: Receiver) -> None:
    engine = Engine(bus, passage=passage())
    receiver.service.refusal = RefusedError(ErrorCode.DENIED, "wrong")
    for _ in range(2):
        with pytest.raises(RefusedError, match="wrong"):
            engine.ask(Verb.STATUS, StatusRequest(file_id="a"), DoneAnswer)
    receiver.service.refusal = None
    engine.ask(Verb.STATUS, StatusRequest(file_id="a"), DoneAnswer)
    assert bus.verbs().count("admit") == 3


def test_an_admission_may_be_made_anew_for_each_handshake(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    numbers = iter(range(1, 10))

    def ask() -> Admission:
        return replace(admission(), admission_id=str(next(numbers)))

    way = passage(admissions=ask)
    run(bus, way, Upload())
    way.reset()
    assert way.session is None
    run(bus, way, Upload())
    assert [asked.admission_id for _, asked in receiver.service.admissions] == ["1", "2"]


def test_an_admission_that_is_too_long_ends_it(bus: ScriptedBus, receiver: Receiver) -> None:
    long = "\U0001f600" * 8000
    job = Upload()
    run(bus, passage(admissions=replace(admission(), user=long, password=long, token=long)), job)
    assert isinstance(job.error, RefusedError)
    assert "too long" in str(job.error)


def test_a_receiver_that_is_busy_is_asked_again(bus: ScriptedBus, receiver: Receiver) -> None:
    receiver.service.refusal = RefusedError(ErrorCode.BUSY, "too many sessions", 3.0)

    def room() -> None:
        receiver.service.refusal = None

    bus.at(5.0, room)
    job = Upload()
    run(bus, passage(), job)
    assert job.complete
    messages = [
        bytes(decode(AdmitRequest, each.parcel).payload) for each in bus.asks_of(Verb.ADMIT)
    ]
    assert len(messages) == 3
    assert len(set(messages)) == 3


def test_a_lost_answer_does_not_admit_twice(bus: ScriptedBus, receiver: Receiver) -> None:
    lost = [2]

    def lose(asked: Asked) -> bool:
        lost[0] -= asked.verb == Verb.ADMIT
        return asked.verb == Verb.ADMIT and lost[0] >= 0

    bus.lose_reply = lose
    job = Upload(3)
    run(bus, passage(), job)
    assert job.complete
    assert bus.verbs().count("admit") == 3
    assert len(receiver.service.admissions) == 1


@pytest.mark.parametrize("verb", [Verb.ADMIT, Verb.SEALED])
@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.CORRUPT])
def test_the_same_is_asked_again_as_ever(
    bus: ScriptedBus, receiver: Receiver, verb: Verb, code: ErrorCode
) -> None:
    receiver.clear = first(RefusedError(code, code.meaning), verb, count=10)
    jobs = list(uploads(4))
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    assert bus.verbs().count("admit") == (11 if verb is Verb.ADMIT else 1)


@pytest.mark.parametrize("verb", [Verb.ADMIT, Verb.SEALED])
def test_damaged_answers_are_asked_for_again(
    bus: ScriptedBus, receiver: Receiver, verb: Verb
) -> None:
    receiver.clear = first(damaged(), verb, count=7)
    jobs = list(uploads(4))
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)


def test_forged_answers_do_no_harm(bus: ScriptedBus, receiver: Receiver) -> None:
    forged = encode(DoneAnswer())
    seen: list[Parcel] = []

    def answer(asked: Asked) -> Outcome:
        if asked.verb == Verb.SEALED:
            seen.append(asked.parcel)
        return forged if asked.verb == Verb.SEALED and len(seen) % 3 else None

    receiver.clear = answer
    jobs = list(uploads(4))
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)


@pytest.mark.parametrize("verb", [Verb.ADMIT, Verb.SEALED])
@pytest.mark.parametrize(
    "code", [ErrorCode.DENIED, ErrorCode.NOT_FOUND, ErrorCode.INTERNAL, ErrorCode.UNKNOWN_TRANSFER]
)
def test_nobody_is_believed_in_the_clear_at_once(
    bus: ScriptedBus, receiver: Receiver, verb: Verb, code: ErrorCode
) -> None:
    receiver.clear = first(RefusedError(code, "no"), verb, count=MOST_UNPROVEN)
    job = Upload()
    run(bus, passage(), job)
    assert job.complete
    assert job.refusals == []


@pytest.mark.parametrize("verb", [Verb.ADMIT, Verb.SEALED])
def test_who_refuses_in_the_clear_again_and_again_ends_it(
    bus: ScriptedBus, receiver: Receiver, verb: Verb
) -> None:
    refusal = RefusedError(ErrorCode.DENIED, "no")
    receiver.clear = lambda asked: refusal if asked.verb == verb else None
    jobs = list(uploads(2, segments=1))
    run(bus, passage(), *jobs)
    for job in jobs:
        assert isinstance(job.error, RefusedError)
        assert job.error.means(ErrorCode.DENIED)
        assert "no (said 6 times without proof" in str(job.error)
        assert job.refusals == []
    count = bus.verbs().count(verb)
    assert count == (MOST_UNPROVEN + 1) * (1 if verb is Verb.ADMIT else 2)


def test_what_the_peer_refuses_inside_goes_to_the_job(bus: ScriptedBus, receiver: Receiver) -> None:
    def refuse(_verb: Verb, _parcel: Parcel) -> Parcel:
        raise RefusedError(ErrorCode.QUOTA, "no more than 1 TB for you")

    receiver.service.inside = refuse
    job = Upload()
    run(bus, passage(), job)
    assert [error.message for error in job.refusals] == ["no more than 1 TB for you"]
    assert bus.verbs() == ["hello", "admit", "sealed"]


def test_what_may_pass_is_asked_again_where_it_is_sealed_too(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    outcomes = [ErrorCode.CORRUPT, ErrorCode.CORRUPT, ErrorCode.CORRUPT]

    def refuse(_verb: Verb, _parcel: Parcel) -> Parcel:
        if outcomes:
            code = outcomes.pop()
            raise RefusedError(code, code.meaning)
        return DONE

    receiver.service.inside = refuse
    job = Upload(2)
    run(bus, passage(), job)
    assert job.complete
    assert job.refusals == []


@pytest.mark.parametrize("code", [ErrorCode.BUSY, ErrorCode.CLOSING])
def test_a_busy_peer_may_say_so_inside(
    bus: ScriptedBus, receiver: Receiver, code: ErrorCode
) -> None:
    job, way, now = Upload(), passage(), 0.0
    engine = Engine(bus, passage=way)
    engine.connect()
    guarded = GuardedJob(job, way)
    ask = guarded.next(10**6, now)
    assert ask is not None
    guarded.answered(ask, receiver.service.answer(Verb.ADMIT, ask.parcel()), now)
    ask = guarded.next(10**6, now)
    assert ask is not None
    request = decode(SealedRequest, ask.parcel())
    channel = receiver.service._sessions[request.session]
    channel.open(request)
    answer = channel.seal(request.number, RefusedError(code, "later", 2.0))
    with pytest.raises(RefusedError) as caught:
        guarded.answered(ask, answer, now)
    assert caught.value.means(ErrorCode.BUSY)
    assert caught.value.retry_after == 2.0
    assert job.refusals == []


def test_a_forgotten_session_is_followed_by_another(bus: ScriptedBus, receiver: Receiver) -> None:
    opened = receiver.service.opened
    bus.at(0.1, receiver.service.forget)
    bus.at(0.2, receiver.service.forget)
    jobs = [Upload(200, cost=100_000, name=f"file-{number}") for number in range(4)]
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    assert all(job.moves == 0 for job in jobs)
    assert bus.verbs().count("admit") == 3
    assert len(receiver.service.admissions) == 3
    assert len(opened) == 800, "what was answered is not asked again"


def test_a_session_that_is_forgotten_each_time_ends_it(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    def forget(asked: Asked) -> Outcome:
        if asked.verb == Verb.SEALED:
            receiver.service.forget()
        return None

    receiver.clear = forget
    job = Upload()
    run(bus, passage(), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.UNKNOWN_SESSION)
    assert "6 sessions in a row" in str(job.error)
    assert bus.verbs().count("admit") == MOST_LOSSES + 1


def test_sessions_may_be_lost_for_ever_as_long_as_something_goes_on(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    count = [0]

    def forget(asked: Asked) -> Outcome:
        count[0] += asked.verb == Verb.SEALED
        if not count[0] % 4:
            receiver.service.forget()
        return None

    receiver.clear = forget
    job = Upload(60, cost=10**6)
    run(bus, passage(), job)
    assert job.complete
    assert bus.verbs().count("admit") > 2 * MOST_LOSSES


def test_a_restarted_service_admits_again(bus: ScriptedBus, receiver: Receiver) -> None:
    bus.at(0.1, receiver.restart)
    jobs = [Upload(200, cost=100_000, name=f"file-{number}") for number in range(4)]
    engine = run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    assert all(job.moves == 1 for job in jobs)
    assert engine.service_id == "{two}"
    ids = [asked.admission_id for _, asked in receiver.service.admissions]
    assert ids == ["a", "a"]


def test_a_service_that_is_closing_is_left_for_the_next(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    receiver.clear = first(RefusedError(ErrorCode.CLOSING, "closing"), Verb.SEALED)
    bus.at(0.3, receiver.restart)
    job = Upload(10)
    run(bus, passage(), job)
    assert job.complete
    assert job.moves == 1


def test_a_restarted_service_with_another_key_gets_nothing(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    def other() -> None:
        receiver.service.key = MALLORY
        receiver.key = MALLORY.public
        receiver.restart()

    bus.at(0.1, other)
    job = Upload(200, cost=100_000)
    bus.rate = 10**7
    run(bus, passage(key=BOB.public), job)
    assert isinstance(job.error, RefusedError)
    assert MALLORY.public in str(job.error)
    assert len(receiver.service.admissions) == 1


def test_a_service_that_dies_of_each_first_request_ends_it(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    count = [0]

    def die(asked: Asked) -> Outcome:
        if asked.verb == Verb.SEALED:
            count[0] += 1
            bus.at(0.0, lambda: receiver.restart(f"{{{count[0]}}}"))
            return RefusedError(ErrorCode.NO_SERVICE, "gone")
        return None

    receiver.clear = die
    job = Upload()
    run(bus, passage(), job)
    assert isinstance(job.error, RefusedError)
    assert job.error.means(ErrorCode.UNKNOWN_SESSION)
    assert count[0] == MOST_LOSSES + 1


def test_answers_to_requests_of_the_session_before_still_count(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    way, job = passage(), Upload(2)
    engine = Engine(bus, passage=way)
    engine.connect()
    guarded = GuardedJob(job, way)

    def admit() -> None:
        ask = guarded.next(10**6, 0.0)
        assert ask is not None
        assert ask.verb is Verb.ADMIT
        assert guarded.next(10**6, 0.0) is None
        guarded.answered(ask, receiver.service.answer(Verb.ADMIT, ask.parcel()), 0.0)

    admit()
    asks = [guarded.next(10**6, 0.0) for _ in range(2)]
    assert asks[0] is not None
    assert asks[1] is not None
    late = receiver.service.answer(Verb.SEALED, asks[0].parcel())
    asks[1].parcel()
    guarded.refused(asks[1], RefusedError(ErrorCode.UNKNOWN_SESSION, "gone"), 0.0)
    assert way.session is None
    admit()
    asks[0].parcel()
    guarded.answered(asks[0], late, 0.0)
    assert job.acknowledged == {0}
    again = guarded.next(10**6, 0.0)
    assert again is not None
    guarded.answered(again, receiver.service.answer(Verb.SEALED, again.parcel()), 0.0)
    assert job.complete


def test_a_late_refusal_of_the_session_before_does_not_end_the_next(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    way, job = passage(), Upload()
    engine = Engine(bus, passage=way)
    engine.connect()
    guarded = GuardedJob(job, way)
    sealed = None
    for _ in range(2):
        way.reset()
        knock = guarded.next(10**6, 0.0)
        assert knock is not None
        guarded.answered(knock, receiver.service.answer(Verb.ADMIT, knock.parcel()), 0.0)
        sealed = sealed or guarded.next(10**6, 0.0)
        assert sealed is not None
        sealed.parcel()
    assert sealed is not None
    session = way.session
    guarded.refused(sealed, RefusedError(ErrorCode.UNKNOWN_SESSION, "gone"), 0.0)
    assert way.session == session
    assert guarded.next(10**6, 0.0) is not None


def test_a_spent_session_is_followed_by_another(
    bus: ScriptedBus, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(channel_module, "MOST_MESSAGES", 50)
    jobs = list(uploads(10, segments=20))
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    assert 4 <= bus.verbs().count("admit") <= 6


def test_messages_get_lost_and_come_twice_and_late(bus: ScriptedBus, receiver: Receiver) -> None:
    counts = {"lose": 0, "reply": 0, "twice": 0}

    def every(name: str, number: int) -> bool:
        counts[name] += 1
        return counts[name] % number == 0

    bus.lose = lambda _asked: every("lose", 7)
    bus.lose_reply = lambda _asked: every("reply", 11)
    bus.copies = lambda _asked: 2 if every("twice", 5) else 1
    bus.extra_delay = lambda asked: (asked.token % 13) / 10
    jobs = list(uploads(8, segments=30))
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    for job in jobs:
        assert job.refusals == []


def test_a_job_that_waits_takes_over_when_the_one_that_asks_is_stopped(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    jobs = list(uploads(2))

    def stop(asked: Asked) -> bool:
        if asked.verb == Verb.ADMIT and not jobs[0].finished and not jobs[1].finished:
            jobs[0].segments = 0  # finished, in the middle of it
            return True
        return False

    bus.lose = stop
    run(bus, passage(), *jobs)
    assert jobs[1].complete
    assert jobs[1].acknowledged == {0, 1, 2}
    assert len(receiver.service.admissions) == 1


def test_nobody_answers_in_the_session(bus: ScriptedBus, receiver: Receiver) -> None:
    bus.lose = lambda asked: asked.verb == Verb.SEALED
    job = Upload()
    with pytest.raises(NoAnswerError):
        run(bus, passage(), job, patience=30.0)
    assert isinstance(job.error, NoAnswerError)


def test_nobody_answers_to_the_question_to_be_admitted(
    bus: ScriptedBus, receiver: Receiver
) -> None:
    bus.lose = lambda asked: asked.verb == Verb.ADMIT
    jobs = list(uploads(3))
    with pytest.raises(NoAnswerError):
        run(bus, passage(), *jobs, patience=30.0)
    assert all(isinstance(job.error, NoAnswerError) for job in jobs)


def test_the_window_holds_inside_a_session(bus: ScriptedBus, receiver: Receiver) -> None:
    jobs = [Upload(100, cost=60_000, name=f"file-{number}") for number in range(4)]
    refusals = [0]

    def refuse(asked: Asked) -> Outcome:
        refusals[0] += 1
        if asked.verb == Verb.SEALED and refusals[0] % 10 == 0:
            return RefusedError(ErrorCode.INTERNAL, "no")
        return None

    receiver.clear = refuse
    flying: list[int] = []
    ask = bus.ask

    def watch(topic: str, parcel: Parcel, *, service_id: str = "") -> int:
        token = ask(topic, parcel, service_id=service_id)
        sealed = [each.token for each in bus.asks_of(Verb.SEALED)]
        flying.append(len([each for each in sealed if each in bus.outstanding]))
        return token

    bus.ask = watch  # type: ignore[method-assign]
    run(bus, passage(), *jobs)
    assert all(job.complete for job in jobs)
    assert max(flying) <= 2**20 // 60_000


def test_answers_are_timed_by_what_is_asked_inside(bus: ScriptedBus, receiver: Receiver) -> None:
    way = passage()
    engine = Engine(bus, passage=way)
    engine.run([Upload(3, verb=Verb.SEGMENT), Upload(3, verb=Verb.FINISH)])
    assert set(engine._pending._trips) == {Verb.ADMIT, Verb.SEGMENT, Verb.FINISH}


def test_a_passage_to_nowhere_is_a_mistake() -> None:
    with pytest.raises(RuntimeError, match="whom it leads to"):
        GuardedJob(Upload(), passage()).next(1000, 0.0)
