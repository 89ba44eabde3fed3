"""Methods about user data: texts that programs note down with objects."""

# ruff: noqa: N802, N803 - the names of the API

from jetstream.ids import ObjectId, any_id_in
from jetstream.interface import Interface


class UserDataMethods(Interface):
    """Methods about user data."""

    def deleteObjectUserData(self, objId: ObjectId, key: str) -> None:
        """Remove a piece of user data of a destination, manifest, transfer or shared token.

        Args:
            objId: Structure of the object. An id will do if only one of the caller's objects has
                it; ``{"transferId": "17"}`` says which one is meant.
            key: Name of the piece.

        Raises:
            CommandError: There is no such object, or several have this id, or it has no such piece.

        Example:
            >>> api.send.deleteObjectUserData(transfer, "ticket")  # doctest: +SKIP
        """
        self._call("send.deleteObjectUserData", objId=any_id_in(objId), key=key)

    def updateObjectUserData(self, objId: ObjectId, key: str, value: str | None = None) -> None:
        """Add or change a piece of user data of a destination, manifest, transfer or shared token.

        Args:
            objId: Structure of the object. An id will do if only one of the caller's objects has
                it; ``{"transferId": "17"}`` says which one is meant.
            key: Name of the piece, 1 to 128 characters; an object has 64 pieces at most.
            value: Text of up to 4096 characters; ``None`` for an empty one.

        Raises:
            CommandError: There is no such object, or several have this id, or the data is too much.

        Example:
            >>> api.send.updateObjectUserData(transfer, "ticket", "INC-7")  # doctest: +SKIP
        """
        self._call("send.updateObjectUserData", objId=any_id_in(objId), key=key, value=value or "")
