"""Shortcuts for what many programs do."""

# ruff: noqa: N802, N803 - the names of the API

import os
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from dxlfiletransferclient.control.constants import (
    TRANSFER_FLAG_NONE,
    TRANSFER_FLAG_READ,
    TRANSFER_FLAG_WRITE,
    TRANSFER_FLAG_WRITE_MTIME,
)
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from jetstream.ids import ObjectId
from jetstream.mappings import mapped
from jetstream.structures import FileMapping, FileSpec, ManifestFiles
from jetstream.transferobject import TransferObject

if TYPE_CHECKING:
    from jetstream.apiinterface import APIInterface


class Helper:
    """Shortcuts for what many programs do.

    Args:
        api: The API; it must be connected when a method is called.

    Example:
        >>> sent = Helper(api).sendFiles(["/data/may.csv"], "receiver01")  # doctest: +SKIP
        >>> sent.getStatus()  # doctest: +SKIP
        'pending'
    """

    def __init__(self, api: "APIInterface") -> None:
        self._api = api

    @staticmethod
    def getFileMappings(
        fileList: Iterable[str | os.PathLike[str]], relative_to: str | None = None
    ) -> dict[str, str]:
        """Return mappings for ``createManifest`` that keep the paths of files.

        Args:
            fileList: Paths of files and directories at the server.
            relative_to: A directory: what lies below it loses that part of its path.

        Returns:
            Sources by destination paths.

        Raises:
            ValueError: A path does not lie below the directory.

        Example:
            >>> Helper.getFileMappings(["/data/2026/may.csv"], relative_to="/data")
            {'2026/may.csv': '/data/2026/may.csv'}
        """
        return mapped((os.fspath(path) for path in fileList), relative_to)

    @staticmethod
    def getTransferFlags(
        read: bool = True,  # noqa: FBT001, FBT002 - as in the other methods
        write: bool = True,  # noqa: FBT001, FBT002 - as in the other methods
    ) -> int:
        """Return ``transferFlags`` for ``createTransfer``.

        Args:
            read: Whether files are read at the sender; otherwise zeros travel in their place.
            write: Whether they are written at the receiver, with their modification times;
                otherwise what comes is dropped.

        Returns:
            The flags, added up.

        Example:
            >>> Helper.getTransferFlags(), Helper.getTransferFlags(read=False, write=False)
            (7, 0)
        """
        flags = TRANSFER_FLAG_READ if read else TRANSFER_FLAG_NONE
        return flags | (TRANSFER_FLAG_WRITE | TRANSFER_FLAG_WRITE_MTIME if write else 0)

    def getFilteredManifestFiles(
        self, predicate: Callable[[FileMapping], object]
    ) -> list[ManifestFiles]:
        """Return the manifests that hold certain files, with these files.

        All files of all complete manifests of the caller are looked at, a page at a time.

        Args:
            predicate: Is called with each file; says whether it is one.

        Returns:
            For each manifest that has some, its id and these files.

        Raises:
            JetstreamError: The server could not be asked.

        Example:
            >>> helper.getFilteredManifestFiles(  # doctest: +SKIP
            ...     lambda each: each["destPath"].endswith(".csv")
            ... )
            [{'manifestId': '2', 'fileMappings': [{'destPath': 'may.csv', ...}]}]
        """
        found: list[ManifestFiles] = []
        for manifest in self._api.send.getManifests():
            if manifest["status"] != "complete":
                continue
            try:
                files = [each for each in self._api.send.each_file(manifest) if predicate(each)]
            except CommandError as error:
                if error.kind is not ErrorKind.NOT_FOUND:
                    raise
                continue  # it was deleted meanwhile
            if files:
                found.append({"manifestId": manifest["manifestId"], "fileMappings": files})
        return found

    def sendFiles(
        self,
        files: Iterable[str | os.PathLike[str]] | Mapping[str, str | FileSpec],
        destination: ObjectId,
        destinationPath: str | None = None,
        relative_to: str | None = None,
        **options: Any,
    ) -> TransferObject:
        """Send files: makes manifest, destination and transfer, and waits for the manifest alone.

        Args:
            files: Paths at the server, which are kept; or mappings as for ``createManifest``.
            destination: Host name or IP address of the receiver, or the structure of a destination.
            destinationPath: Directory at the receiver under which everything goes.
            relative_to: A directory at the server: paths lose that part.
            options: Further parameters of ``createTransfer``, such as ``userName`` and
                ``password``.

        Returns:
            The transfer.

        Raises:
            CommandError: Something is refused; the manifest's ``errorMessage`` if that has failed.

        Example:
            >>> login = {"userName": "jsmith", "password": "secret"}
            >>> sent = helper.sendFiles(  # doctest: +SKIP
            ...     ["/data/may.csv"], "receiver01", "inbox", relative_to="/data", **login
            ... )
        """
        send = self._api.send
        mappings = files if isinstance(files, Mapping) else self.getFileMappings(files, relative_to)
        if not isinstance(destination, Mapping):
            destination = send.createDestination(str(destination))
        manifest = send.waitForManifest(send.createManifest(mappings=mappings))
        if manifest["status"] != "complete":
            raise CommandError(f"the files cannot be sent: {manifest['errorMessage']}")
        transfer = send.createTransfer(destination, manifest, destinationPath, **options)
        return TransferObject(self._api, transfer["destinationId"], transfer["transferId"])
