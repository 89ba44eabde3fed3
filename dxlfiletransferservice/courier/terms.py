"""On what terms a transfer is sent: in a session, or plainly to a service that knows none."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.control.constants import (
    MIN_CIPHER_NONE,
    OVERWRITE_ALWAYS,
    OVERWRITE_IN_PLACE_ALWAYS,
    OVERWRITE_IN_PLACE_NEVER,
    OVERWRITE_NEVER,
    TRANSFER_FLAG_WRITE,
    TRANSFER_FLAG_WRITE_MTIME,
    TRANSFER_FLAG_WRITE_ONLY_NEWER,
)
from dxlfiletransferclient.exchange.jobs import Job
from dxlfiletransferclient.protocol.messages import HelloAnswer, Overwrite
from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import (
    Admission,
    Cipher,
    SessionPurpose,
    TransferNote,
)
from dxlfiletransferclient.sealing.guardedjob import GuardedJob
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferclient.sealing.passage import Passage
from dxlfiletransferservice.courier.seams import Login, TransferPlan

_PLAIN: Final = {
    OVERWRITE_ALWAYS: Overwrite.REPLACE,
    OVERWRITE_IN_PLACE_ALWAYS: Overwrite.REPLACE,
    OVERWRITE_NEVER: Overwrite.KEEP,
    OVERWRITE_IN_PLACE_NEVER: Overwrite.KEEP,
}
"""Overwrite modes that every service knows."""


@dataclass(frozen=True, slots=True)
class Terms:
    """On what terms a transfer is sent.

    Attributes:
        passage: Leads into the session; ``None`` if there is none.
        prefix: What names begin with at the receiver, with a slash at its end; it adds the
            destination path itself where there is a session.
        overwrite: The overwrite mode that files are sent with; what the transfer says about that
            counts where there is a session.
        batches: Whether small files may be sent many at once.
    """

    passage: Passage | None
    prefix: str
    overwrite: Overwrite
    batches: bool

    def guarded(self, job: Job) -> Job:
        """Return a job so that its requests travel in the session, if there is one."""
        return job if self.passage is None else GuardedJob(job, self.passage)


def agree(
    plan: TransferPlan,
    hello: Callable[[], HelloAnswer],
    *,
    key: PrivateKey,
    peer_key: str | None,
) -> Terms:
    """Return on what terms a transfer is sent.

    Args:
        plan: The transfer.
        hello: Returns what the receiver says about itself.
        key: Key of this server.
        peer_key: The public key that the receiver must have; ``None`` for any.

    Raises:
        RefusedError: The receiver can do nothing of what the transfer asks for.
    """
    verbs = hello().verbs.split()
    admits = {Verb.ADMIT, Verb.SEALED} <= set(verbs)
    sealed = plan.min_cipher > MIN_CIPHER_NONE or plan.login != Login() or peer_key is not None
    if admits or sealed:
        passage = Passage(key, _admission(plan, key), peer_key=peer_key, hello=hello)
        return Terms(passage, "", Overwrite.REPLACE, batches=True)
    return Terms(None, _prefix(plan), _overwrite(plan), batches=Verb.BATCH in verbs)


def _admission(plan: TransferPlan, key: PrivateKey) -> Admission:
    text = f"transfer\0{key.public}\0{plan.id}"
    return Admission(
        admission_id=hashlib.sha256(text.encode()).hexdigest()[:32],
        purpose=SessionPurpose.TRANSFER,
        cipher=Cipher(plan.min_cipher),
        user=plan.login.user,
        password=plan.login.password,
        token=plan.login.token,
        transfer=TransferNote(
            transfer_id=str(plan.id),
            destination_path=plan.destination_path,
            overwrite_mode=plan.overwrite_mode,
            flags=plan.flags,
            time_resolution_us=plan.time_resolution_us,
            total_files=plan.total_files,
            total_size=plan.total_bytes,
        ),
    )


def _prefix(plan: TransferPlan) -> str:
    path = plan.destination_path.strip("/")
    return f"{path}/" if path else ""


def _overwrite(plan: TransferPlan) -> Overwrite:
    """Return the overwrite mode for a service that knows no sessions."""
    only_newer = bool(plan.flags & TRANSFER_FLAG_WRITE_ONLY_NEWER)
    found = _PLAIN.get(plan.overwrite_mode)
    if found is None:
        raise _too_old(f"the overwrite mode {plan.overwrite_mode}")
    if not plan.flags & TRANSFER_FLAG_WRITE:
        raise _too_old("transfers that are not written")
    if not only_newer:
        return found
    if plan.time_resolution_us or not plan.flags & TRANSFER_FLAG_WRITE_MTIME:
        raise _too_old("a comparison of modification times other than its own")
    return Overwrite.NEWER if found is Overwrite.REPLACE else found


def _too_old(what: str) -> RefusedError:
    return RefusedError(
        ErrorCode.NOT_ALLOWED,
        f"the receiver is a service without a transfer server, or too old, and knows nothing of "
        f"{what}: nothing was sent",
    )
