"""Methods about transfers: manifests on their way to a destination."""

# ruff: noqa: N802, N803 - the names of the API

from collections.abc import Mapping
from typing import cast

from dxlfiletransferclient.errors import brief
from jetstream.ids import ObjectId, id_in
from jetstream.interface import Interface
from jetstream.structures import Transfer


class TransferMethods(Interface):
    """Methods about transfers."""

    def createTransfer(
        self,
        destinationId: ObjectId,
        manifestId: ObjectId,
        destinationPath: str | None = None,
        userName: str | None = None,
        password: str | None = None,
        priority: int | None = None,
        transferFlags: int | None = None,
        checkpointFrequencySeconds: float | None = None,
        sendRateMax: float | None = None,
        priorityLane: str | None = None,
        overwriteMode: int | None = None,
        minCipher: int | None = None,
        fileTimeResolutionMicroseconds: int | None = None,
        timeoutSeconds: float | None = None,
        userData: Mapping[str, str] | None = None,
        token: str | None = None,
    ) -> Transfer:
        """Begin to send the files of a manifest to a destination.

        Poll ``getTransfer`` and look at ``processing``, or use ``waitForTransfer``. What is
        ``None`` is taken from the destination's transfer defaults, and from the defaults below if
        those say nothing.

        Args:
            destinationId: The destination, or its id.
            manifestId: The manifest, or its id; it must be complete.
            destinationPath: Directory at the receiver under which everything goes, made if it is
                missing. By default the directory that the receiver confines the user to, or its
                storage.
            userName: User at the receiver, for whom ``password`` is shown; not with ``token``.
            password: Password of the user, or of the token.
            priority: 0 to 4294967295; in a lane, lower numbers go first. 100 by default.
            transferFlags: ``TRANSFER_FLAG_…``, added up. By default files are read, written, and
                get the modification time of their source.
            checkpointFrequencySeconds: Seconds between checkpoints, 0 to 86400: what a checkpoint
                covers need not be sent again if the receiver crashes. It is kept and told;
                receivers make checkpoints every 2 seconds at least anyway.
            sendRateMax: Kilobits per second at most, 1 or more; -1, or nothing, for no limit.
            priorityLane: Name of a lane of the destination; ``Normal`` by default.
            overwriteMode: ``OVERWRITE_…``: what becomes of an older file of the same name;
                ``OVERWRITE_ALWAYS`` by default.
            minCipher: ``MIN_CIPHER_…``: the least protection on the way;
                ``MIN_CIPHER_ENCRYPTED_128`` by default, unless the server is set otherwise. A
                receiver that cannot give it fails the transfer before anything is sent.
            fileTimeResolutionMicroseconds: Microseconds by which modification times may differ and
                count as equal, 0 by default.
            timeoutSeconds: Seconds without a connection to the receiver after which the transfer
                fails; 0, the default, for never.
            userData: Texts by name to note down with it; see ``updateObjectUserData``.
            token: Token at the receiver, for whoever has no user there; not with ``userName``.

        Returns:
            The transfer.

        Raises:
            CommandError: There is no such destination or manifest, the manifest is not complete, a
                value is out of range, or the shared token that the caller has logged on with is
                used up.

        Example:
            >>> transfer = api.send.createTransfer(destination, manifest)  # doctest: +SKIP
            >>> transfer["transferId"], transfer["processing"]  # doctest: +SKIP
            ('17', True)
        """
        found = self._call(
            "send.createTransfer",
            destinationId=id_in(destinationId, "destinationId"),
            manifestId=id_in(manifestId, "manifestId"),
            destinationPath=destinationPath,
            userName=userName,
            password=password,
            priority=priority,
            transferFlags=transferFlags,
            checkpointFrequencySeconds=checkpointFrequencySeconds,
            sendRateMax=sendRateMax,
            priorityLane=priorityLane,
            overwriteMode=overwriteMode,
            minCipher=minCipher,
            fileTimeResolutionMicroseconds=fileTimeResolutionMicroseconds,
            timeoutSeconds=timeoutSeconds,
            userData=userData,
            token=token,
        )
        return cast("Transfer", found)

    def deleteTransfer(self, transferId: ObjectId) -> None:
        """Delete a transfer that is not active; files that were stored stay where they are.

        Args:
            transferId: The transfer, or its id.

        Raises:
            CommandError: There is no such transfer, or it is active: suspend it first.

        Example:
            >>> api.send.deleteTransfer("17")  # doctest: +SKIP
        """
        self._call("send.deleteTransfer", transferId=id_in(transferId, "transferId"))

    def failTransfer(self, transferId: ObjectId, errorMessage: str | None = None) -> None:
        """End a transfer as failed.

        Args:
            transferId: The transfer, or its id; it has not ended yet.
            errorMessage: Why, for its ``errorMessage``.

        Raises:
            CommandError: There is no such transfer, or it has ended.

        Example:
            >>> api.send.failTransfer("17", "not needed any more")  # doctest: +SKIP
        """
        self._call(
            "send.failTransfer",
            transferId=id_in(transferId, "transferId"),
            errorMessage=errorMessage,
        )

    def getTransfer(self, transferId: ObjectId) -> Transfer:
        """Return a transfer.

        Args:
            transferId: The transfer, its id, or the result of a request about it.

        Returns:
            The transfer as it is now; ``snapshotTime`` says when that was.

        Raises:
            CommandError: There is no such transfer.

        Example:
            >>> api.send.getTransfer("17")["status"]  # doctest: +SKIP
            'sending'
        """
        wanted = id_in(transferId, "transferId")
        return cast("Transfer", self._call("send.getTransfer", transferId=wanted))

    def getTransfers(
        self,
        destinationId: ObjectId | None = None,
        before: ObjectId | None = None,
        after: ObjectId | None = None,
        limit: int | None = None,
    ) -> list[Transfer]:
        """Return the caller's transfers in the order in which they were made.

        Args:
            destinationId: Only those to this destination, given by its structure or id.
            before: Only those made before this transfer, given by its structure or id.
            after: Only those made after this transfer, given by its structure or id.
            limit: Transfers at most, the oldest ones; 0 or ``None`` for all.

        Returns:
            The transfers; a superuser sees those of all users.

        Raises:
            CommandError: There is no such destination, or the limit is no such number.

        Example:
            >>> [each["status"] for each in api.send.getTransfers(limit=3)]  # doctest: +SKIP
            ['complete', 'complete', 'sending']
        """
        return self._sync.objects(
            "send.getTransfers",
            "transferId",
            destinationId=id_in(destinationId, "destinationId"),
            before=id_in(before, "transferId"),
            after=after,
            limit=limit,
        )

    def waitForTransfer(self, transferId: ObjectId) -> Transfer:
        """Wait until nothing happens with a transfer by itself any more.

        A server that is started anew meanwhile is waited for.

        Args:
            transferId: The transfer, or its id.

        Returns:
            The transfer, whose ``status`` is ``complete``, ``suspended``, or ``error``;
            ``errorMessage`` says why.

        Raises:
            CommandError: There is no such transfer, or it was deleted meanwhile.
            WaitTimeoutError: It takes longer than ``waitTimeoutSeconds``.

        Example:
            >>> api.send.waitForTransfer(transfer)["status"]  # doctest: +SKIP
            'complete'
        """
        wanted = id_in(transferId, "transferId")
        what = f"transfer {brief(wanted)}"
        return self._sync.wait(what, lambda: self.getTransfer(wanted), done=_done)


def _done(transfer: Transfer) -> float | None:
    """Return which part of a transfer is done."""
    whole = transfer.get("totalBlocks") or 0
    return transfer["blocksAcked"] / whole if whole else None
