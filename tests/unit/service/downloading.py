"""Shared tokens and the manifests that they open, with real files."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dxlfiletransferclient.protocol.messages import (
    Entry,
    ListAnswer,
    ListRequest,
    RetrieveAnswer,
    RetrieveRequest,
    StatAnswer,
    StatRequest,
)
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.sealing.admission import Admission, Cipher, SessionPurpose
from dxlfiletransferclient.sealing.keys import PrivateKey
from dxlfiletransferservice.admission.desk import AdmissionDesk
from dxlfiletransferservice.admission.downloads import DownloadPurpose
from dxlfiletransferservice.control.manifests.manifestcommands import ManifestCommands
from dxlfiletransferservice.control.manifests.manifestfiles import ManifestFiles
from dxlfiletransferservice.control.manifests.manifestfilling import ManifestFilling
from dxlfiletransferservice.control.manifests.manifests import Manifests
from dxlfiletransferservice.control.principals import Principal
from tests.unit.service.admitting import ALICE, BOB, Conversation, Seconds
from tests.unit.service.identities import Control, controlled
from tests.waiting import wait_until


def download(token: str, *, admission_id: str = "d1", password: str | None = None) -> Admission:
    """An admission to fetch what a token opens."""
    return Admission(
        admission_id=admission_id,
        purpose=SessionPurpose.DOWNLOAD,
        cipher=Cipher.AES_128,
        token=token,
        password=password,
    )


class Sharer:
    """A server on which ann shares what is below a directory."""

    def __init__(self, directory: Path, control: Control) -> None:
        self.control = control
        self.files = directory / "shared"
        self.files.mkdir(exist_ok=True)
        self.clock = Seconds()
        self.manifest_files = ManifestFiles(control.database)
        self.filling = ManifestFilling(control.database, control.sandboxes, control.events)
        self.filling.start()
        manifests = Manifests(control.database, control.events, self.filling.wake)
        control.commands.add(ManifestCommands(manifests, self.manifest_files, control.sandboxes))
        self.login = control.session(Principal("ann"))
        self.start()

    def start(self) -> None:
        self.purpose = DownloadPurpose(
            self.control.access, self.manifest_files, self.control.sandboxes, clock=self.clock
        )
        self.desk = AdmissionDesk(BOB, {SessionPurpose.DOWNLOAD: self.purpose}, clock=self.clock)

    def stop(self) -> None:
        self.desk.close()
        self.purpose.close()

    def close(self) -> None:
        self.stop()
        self.filling.close()

    def write(self, files: dict[str, bytes]) -> None:
        """Write files; a name that ends with ``/`` is an empty directory."""
        for name, content in files.items():
            path = self.files / name
            if name.endswith("/"):
                path.mkdir(parents=True, exist_ok=True)
                continue
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def manifest(self, mappings: dict[str, Any]) -> str:
        """Make a manifest and wait until it is complete."""
        made = self.control.call(self.login, "send.createManifest", mappings=mappings)
        number = made["manifestId"]

        def ended() -> bool:
            found = self.control.call(self.login, "send.getManifest", manifestId=number)
            assert found["status"] != "error", found
            return not found["processing"]

        wait_until(ended)
        return str(number)

    def share(self, mappings: dict[str, Any] | None = None, **values: Any) -> str:
        """Return a token for a manifest; by default for all files as ``tree``."""
        number = self.manifest(mappings or {"tree": str(self.files)})
        made = self.control.call(self.login, "send.createSharedToken", manifestId=number, **values)
        return str(made["token"])

    def count(self, token: str) -> int:
        """Return how many downloads were counted."""
        found = self.control.call(self.login, "send.getSharedToken", token=token)
        return int(found["downloadCount"])

    def enter(self, token: str, key: PrivateKey = ALICE, **more: Any) -> "Downloader":
        return Downloader(self.desk, key, token, **more)


class Downloader:
    """Somebody in a session with a shared token."""

    def __init__(self, desk: AdmissionDesk, key: PrivateKey, token: str, **more: Any) -> None:
        self.conversation = Conversation(desk, key).enter(download(token, **more))

    def stat(self, name: str, *, digest: bool = False) -> StatAnswer:
        request = StatRequest(name=name, with_sha256=digest)
        return self.conversation.ask(Verb.STAT, request, StatAnswer)

    def retrieve(
        self, name: str, offset: int = 0, length: int = 1000, version: str | None = None
    ) -> RetrieveAnswer:
        request = RetrieveRequest(name=name, offset=offset, length=length, version=version)
        return self.conversation.ask(Verb.RETRIEVE, request, RetrieveAnswer)

    def page(self, **values: Any) -> ListAnswer:
        return self.conversation.ask(Verb.LIST, ListRequest(**values), ListAnswer)

    def entries(self, name: str = "", *, recursive: bool = True, limit: int = 1000) -> list[Entry]:
        """Every entry of a list, page by page."""
        found: list[Entry] = []
        after: str | None = ""
        while after is not None:
            page = self.page(name=name, recursive=recursive, after=after, limit=limit)
            found += page.entries
            after = page.next
        return found

    def names(self, name: str = "", *, recursive: bool = True, limit: int = 1000) -> list[str]:
        return [entry.name for entry in self.entries(name, recursive=recursive, limit=limit)]


@contextmanager
def sharer(directory: Path) -> Iterator[Sharer]:
    with controlled(directory, stored=True) as control:
        made = Sharer(directory, control)
        try:
            yield made
        finally:
            made.close()
