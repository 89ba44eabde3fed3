"""A service that admits to sessions, and says what a test wants inside them."""

import itertools
from collections.abc import Callable
from typing import NamedTuple

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.messages import DoneAnswer
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.sessions import AdmitAnswer, AdmitRequest, SealedRequest
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Admitted, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.channel import AnsweringChannel, Opened, RequestingChannel
from dxlfiletransferclient.sealing.handshake import Initiator, Responder
from dxlfiletransferclient.sealing.keys import PrivateKey

ALICE = PrivateKey.from_bytes(bytes(range(32)))
BOB = PrivateKey.from_bytes(bytes(range(32, 64)))
MALLORY = PrivateKey.from_bytes(bytes(range(64, 96)))
SESSION = "0123456789abcdef" * 2
DONE = encode(DoneAnswer())


class Ends(NamedTuple):
    asking: RequestingChannel
    answering: AnsweringChannel


def ends(cipher: Cipher = Cipher.AES_256, session: str = SESSION) -> Ends:
    """Both ends of a new session."""
    initiator, responder = Initiator(ALICE, BOB.public), Responder(BOB)
    responder.read(initiator.write(b""))
    answer, keys = responder.write(b"")
    _, same_keys = initiator.read(answer)
    return Ends(
        RequestingChannel(session, cipher, same_keys), AnsweringChannel(session, cipher, keys)
    )


def admission(
    cipher: Cipher = Cipher.AES_256, purpose: SessionPurpose = SessionPurpose.CONTROL
) -> Admission:
    return Admission(admission_id="a", purpose=purpose, cipher=cipher)


class SealedService:
    """Answers ``admit`` and ``sealed`` as a transfer server does.

    Attributes:
        key: Its key.
        inside: Carries out what is asked inside a session.
        refusal: What it refuses admission with, to the peer alone.
        cipher: What it protects sessions by, whatever is asked.
        admissions: What was asked for, by whom.
        opened: All requests that were opened.
    """

    def __init__(self, inside: Callable[[Verb, Parcel], Parcel] | None = None) -> None:
        self.key = BOB
        self.inside = inside or (lambda _verb, _parcel: DONE)
        self.refusal: RefusedError | None = None
        self.cipher: Cipher | None = None
        self.admissions: list[tuple[str, Admission]] = []
        self.opened: list[Opened] = []
        self._sessions: dict[str, AnsweringChannel] = {}
        self._answers: dict[bytes, bytes] = {}
        self._names = itertools.count(1)

    def forget(self) -> None:
        """Forget all sessions."""
        self._sessions.clear()

    def answer(self, verb: Verb, parcel: Parcel) -> Parcel:
        """Answer a request, or refuse it in the clear."""
        if verb is Verb.ADMIT:
            message = bytes(decode(AdmitRequest, parcel).payload)
            if message not in self._answers:
                self._answers[message] = self._admit(message)
            return encode(AdmitAnswer(payload=self._answers[message]))
        request = decode(SealedRequest, parcel)
        channel = self._sessions.get(request.session)
        if channel is None:
            code = ErrorCode.UNKNOWN_SESSION
            raise RefusedError(code, code.meaning)
        opened = channel.open(request)
        self.opened.append(opened)
        try:
            return channel.seal(opened.number, self.inside(opened.verb, opened.parcel))
        except RefusedError as error:
            if error.means(ErrorCode.BUSY, ErrorCode.CLOSING):
                channel.drop(opened.number)
                raise
            return channel.seal(opened.number, error)

    def _admit(self, message: bytes) -> bytes:
        responder = Responder(self.key)
        asked = Admission.from_bytes(responder.read(message))
        self.admissions.append((responder.peer, asked))
        if self.refusal is not None:
            return responder.write_refusal(self.refusal)
        session = f"{next(self._names):032x}"
        cipher = asked.cipher if self.cipher is None else self.cipher
        answer, keys = responder.write(Admitted(session=session, cipher=cipher).to_bytes())
        self._sessions[session] = AnsweringChannel(session, cipher, keys)
        return answer
