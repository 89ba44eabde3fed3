"""Keeps those out who come without a session, where everybody has to show who he is."""

from dxlfiletransferclient.protocol.refusals import ErrorCode, RefusedError
from dxlfiletransferclient.sealing.admission import Cipher
from dxlfiletransferservice.admission.senders import AuthorizedSenders


class PlainGate:
    """Says whether requests outside of any session may change what is stored.

    Args:
        senders: Which senders are let in.
        require_authentication: Whether transfers have to show a user or a token.
        least: The least protection of sessions; what comes outside of any has none.
    """

    def __init__(
        self,
        senders: AuthorizedSenders,
        *,
        require_authentication: bool,
        least: Cipher = Cipher.NONE,
    ) -> None:
        self._senders = senders
        self._least = least
        self._require_authentication = require_authentication

    def refuse_plain(self) -> RefusedError | None:
        """Return what such a request is refused with at the moment; ``None`` if it is let in."""
        if self._senders.restricted:
            text = "this server takes files from listed senders only: send them as a transfer"
            return RefusedError(ErrorCode.NOT_ALLOWED, text)
        if self._require_authentication:
            text = (
                "this server takes files only from who shows a user and password, or a token: send "
                "them as a transfer"
            )
            return RefusedError(ErrorCode.NOT_ALLOWED, text)
        if self._least is not Cipher.NONE:
            text = "this server takes files sealed from end to end only: send them as a transfer"
            return RefusedError(ErrorCode.NOT_ALLOWED, text)
        return None
