"""The entries of directories of a service, page by page. No input or output of its own."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from dxlfiletransferclient.errors import MalformedAnswerError, brief
from dxlfiletransferclient.protocol.messages import Entry, ListAnswer, ListRequest
from dxlfiletransferclient.storage.names import Parts, parse_name

MAX_EMPTY_PAGES: Final = 1000
"""Pages in a row without an entry after which a service is not asked for more.

One that leaves out what it cannot name may answer some; one that goes on for ever is broken.
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A directory of the service that is received with everything below it.

    Attributes:
        parts: Its name on the service, as parts; none for all that is stored.
        local: Its name below the target, as parts; none for the target itself.
    """

    parts: Parts
    local: Parts

    @property
    def name(self) -> str:
        """Its name on the service."""
        return "/".join(self.parts)


def entries_of(
    name: str, ask: Callable[[ListRequest], ListAnswer], *, recursive: bool
) -> Iterator[Entry]:
    """Yield what is in a directory; never more than one page is held.

    Args:
        name: The directory; empty for all that is stored.
        ask: Fetches a page.
        recursive: Whether everything below it is wanted too.

    Raises:
        MalformedAnswerError: If the pages would never end.
        Exception: What ``ask`` raises.
    """
    after, empty = "", 0
    while True:
        page = ask(ListRequest(name=name, recursive=recursive, after=after))
        yield from page.entries
        if page.next is None:
            return
        empty = 0 if page.entries else empty + 1
        if page.next in (after, "") or empty > MAX_EMPTY_PAGES:
            msg = f"the service lists {brief(name)} without an end: it is broken, see its log"
            raise MalformedAnswerError(msg)
        after = page.next


def below(tree: Tree, entry: Entry) -> Parts:
    """Return the name of an entry below its tree.

    Raises:
        UnsafeNameError: If it is no name that a file may have.
        MalformedAnswerError: If it lies elsewhere.
    """
    parts = parse_name(entry.name)
    depth = len(tree.parts)
    if parts[:depth] != tree.parts or len(parts) == depth:
        msg = f"the service lists {brief(entry.name)} in {brief(tree.name)}, where it is not"
        raise MalformedAnswerError(msg)
    return parts[depth:]
