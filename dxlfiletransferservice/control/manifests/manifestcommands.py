"""Commands for manifests."""

from collections.abc import Mapping
from typing import Any

from dxlfiletransferclient.control.constants import MAX_PAGE, SYMLINK_FOLLOW
from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferservice.control.arguments import MAX_ID
from dxlfiletransferservice.control.commands import Call, Handler
from dxlfiletransferservice.control.manifests.manifestfiles import ManifestFiles
from dxlfiletransferservice.control.manifests.manifests import Manifests
from dxlfiletransferservice.control.manifests.mappings import (
    Sources,
    found_mappings,
    named_mappings,
)
from dxlfiletransferservice.control.pages import take_page
from dxlfiletransferservice.control.rights import demand

_FIELD = "manifestId"


class ManifestCommands:
    """Commands for manifests.

    Args:
        manifests: The manifests.
        files: What they hold.
        sources: Says what users may send, and where it is.
    """

    def __init__(self, manifests: Manifests, files: ManifestFiles, sources: Sources) -> None:
        self._manifests = manifests
        self._files = files
        self._sources = sources

    def handlers(self) -> Mapping[str, Handler]:
        """Return the handlers by the names of their commands."""
        return {
            "send.createManifest": self._create,
            "send.addManifestMappings": self._add,
            "send.getManifest": self._get,
            "send.getManifests": self._page,
            "send.getManifestFiles": self._mappings,
            "send.deleteManifest": self._delete,
        }

    def _create(self, call: Call) -> dict[str, Any]:
        """Make a manifest of ``mappings`` or ``fileMappings``, with ``symlinkOptions``.

        With ``more`` it waits for further mappings, which ``send.addManifestMappings`` brings.
        """
        principal, arguments = call.principal, call.arguments
        _check_maker(call)
        named = named_mappings(arguments)
        symlinks = arguments.choice("symlinkOptions", range(SYMLINK_FOLLOW + 1))
        more = arguments.flag("more", default=False)
        arguments.finish()
        if not named and not more:
            raise CommandError("a manifest needs at least one mapping")
        made = self._manifests.made_by(principal, call.call_id)
        if made is not None:
            return made
        return self._manifests.create(
            principal,
            call.call_id,
            found_mappings(named, principal, self._sources),
            SYMLINK_FOLLOW if symlinks is None else symlinks,
            more=more,
        )

    def _add(self, call: Call) -> dict[str, Any]:
        """Add ``mappings`` or ``fileMappings``; the last ones come without ``more``."""
        principal, arguments = call.principal, call.arguments
        _check_maker(call)
        shown = arguments.value(_FIELD)
        manifest_id = arguments.object_id(_FIELD, _FIELD)
        named = named_mappings(arguments)
        more = arguments.flag("more", default=False)
        arguments.finish()
        added = self._manifests.added_by(principal, call.call_id, manifest_id, shown=shown)
        if added is not None:
            return added
        found = found_mappings(named, principal, self._sources)
        return self._manifests.add(
            principal, call.call_id, manifest_id, found, more=more, shown=shown
        )

    def _get(self, call: Call) -> dict[str, Any]:
        shown = call.arguments.value(_FIELD)
        manifest_id = call.arguments.object_id(_FIELD, _FIELD)
        call.arguments.finish()
        return self._manifests.get(call.principal, manifest_id, shown=shown)

    def _page(self, call: Call) -> list[dict[str, Any]]:
        order = take_page(call.arguments, _FIELD)
        call.arguments.finish()
        return self._manifests.page(call.principal, order)

    def _mappings(self, call: Call) -> dict[str, Any]:
        """Tell the files of a manifest, from the one behind the number ``after`` on."""
        principal, arguments = call.principal, call.arguments
        shown = arguments.value(_FIELD)
        manifest_id = arguments.object_id(_FIELD, _FIELD)
        limit = arguments.optional_integer("limit", least=0, most=MAX_ID) or MAX_PAGE
        after = arguments.optional_integer("after", least=-1, most=MAX_ID)
        arguments.finish()
        number = self._manifests.complete_id(principal, manifest_id, shown=shown)
        # Whoever has a shared token is not told where on this machine something is.
        found = self._files.mappings(
            number, after, min(limit, MAX_PAGE), sources=principal.manifest_id is None
        )
        return {"manifestId": str(number), "fileMappings": found}

    def _delete(self, call: Call) -> None:
        principal = call.principal
        shown = call.arguments.value(_FIELD)
        manifest_id = call.arguments.object_id(_FIELD, _FIELD)
        call.arguments.finish()
        if principal.manifest_id is not None:
            raise CommandError("a shared token does not permit to delete", ErrorKind.NOT_ALLOWED)
        demand(principal, "delete", "delete manifests")
        self._manifests.delete(principal, manifest_id, shown=shown)


def _check_maker(call: Call) -> None:
    if call.principal.manifest_id is not None:
        text = "a shared token opens one manifest, and does not permit to make others"
        raise CommandError(text, ErrorKind.NOT_ALLOWED)
    demand(call.principal, "download", "make manifests of files of this server")
