"""What the transfer server says on its own topics about itself."""

from dxlfiletransferclient.protocol.coding import decode, encode
from dxlfiletransferclient.protocol.desk import SESSION_VERBS, ServerIdentity
from dxlfiletransferclient.protocol.limits import SEGMENT_SIZE
from dxlfiletransferclient.protocol.messages import HelloAnswer, HelloRequest
from dxlfiletransferclient.protocol.parcels import Parcel
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import REVISION, Verb


class ControlHello:
    """Answers ``hello`` on the topics of the control API.

    Args:
        identity: Who the server is.
    """

    def __init__(self, identity: ServerIdentity) -> None:
        self._answer = HelloAnswer(
            revision=REVISION,
            store_id=identity.uid,
            segment_size=SEGMENT_SIZE,
            window=SEGMENT_SIZE,
            verbs=" ".join(sorted(SESSION_VERBS | {Verb.HELLO})),
            public_key=identity.public_key,
            server_uid=identity.uid,
            server_name=identity.name,
        )

    def answer(self, verb: Verb, request: Parcel) -> Parcel:
        """Answer a request.

        Raises:
            RefusedError: It is not ``hello``, or damaged.
        """
        if verb is not Verb.HELLO:
            raise RefusedError(ErrorCode.NOT_ALLOWED, f"{verb} is for sessions")
        decode(HelloRequest, request)
        return encode(self._answer)
