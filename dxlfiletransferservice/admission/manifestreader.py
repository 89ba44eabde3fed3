"""What a download needs to know of the manifest that it is of."""

from dataclasses import dataclass
from typing import Protocol

from dxlfiletransferservice.courier.seams import ManifestFile


@dataclass(frozen=True, slots=True)
class ManifestChild:
    """What is directly in a directory of a manifest.

    Attributes:
        name: Its last part, without any ``/``.
        file: The file or empty directory; ``None`` for a directory that has something in it.
    """

    name: str
    file: ManifestFile | None


class ManifestReader(Protocol):
    """Looks things up in manifests by what they are called at the destination.

    All methods may be called from any thread. A manifest that is not there any more has nothing in
    it.
    """

    def file(self, manifest_id: int, dest: str) -> ManifestFile | None:
        """Return the file or empty directory that has exactly this name.

        Args:
            manifest_id: Number of the manifest.
            dest: The name, ``/`` between the parts, none at the beginning or end.
        """
        ...

    def children(
        self, manifest_id: int, prefix: str, after: str, limit: int
    ) -> list[ManifestChild]:
        """Return what is directly in a directory, in the order of the names by code point.

        Args:
            manifest_id: Number of the manifest.
            prefix: Name of the directory as in :meth:`file`; empty for the whole manifest.
            after: Name of a child after which to begin, one part; empty for the first.
            limit: How many are wanted at most, 1 or more; fewer mean that there are no more.
        """
        ...
