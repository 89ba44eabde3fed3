"""Addresses of destinations: which are ones, and what they resolve to."""

import ipaddress
import queue
import socket
import threading
from collections.abc import Callable, Sequence
from typing import Any, Final

from dxlfiletransferclient.control.errors import CommandError, ErrorKind
from dxlfiletransferclient.errors import brief

MAX_ADDRESS: Final = 253
"""Characters of a host name at most, as the domain name system has it."""

RESOLVE_SECONDS: Final = 5.0
"""Seconds in which an address has to resolve, for the caller waits for it."""

MOST_LOOKUPS: Final = 4
"""Look-ups at once; one that hangs holds a thread until the system gives it up."""

Lookup = Callable[[str], Sequence[Any]]
"""Looks a host name up; returns what ``socket.getaddrinfo`` returns, or raises ``OSError``."""


class Resolver:
    """Resolves addresses, each within a time limit.

    Args:
        seconds: The limit.
        most: Look-ups at once.
        lookup: Looks a name up; that of the system by default.

    Example:
        >>> Resolver()("192.0.2.7")
        '192.0.2.7'
    """

    def __init__(
        self,
        *,
        seconds: float = RESOLVE_SECONDS,
        most: int = MOST_LOOKUPS,
        lookup: Lookup | None = None,
    ) -> None:
        self._seconds = seconds
        self._slots = threading.BoundedSemaphore(most)
        self._lookup = lookup or _system_lookup

    def __call__(self, address: str) -> str:
        """Return the IP address that an address stands for.

        Args:
            address: A host name, or an IP address of version 4 or 6.

        Returns:
            The first one of version 4, or of version 6 if there is none.

        Raises:
            CommandError: It is no address, does not resolve, or not in time; the text names it.
        """
        literal = _literal(address)
        if literal is not None:
            return literal
        check_host(address)
        found = _preferred(self._looked_up(address))
        if found is None:
            raise _unresolved(address, "it has no IP address")
        return found

    def _looked_up(self, address: str) -> Sequence[Any]:
        if not self._slots.acquire(blocking=False):
            raise CommandError(
                f"the address {brief(address)} cannot be looked up now: too many others are; try "
                "again later",
                ErrorKind.BUSY,
            )
        answers: queue.SimpleQueue[Sequence[Any] | Exception] = queue.SimpleQueue()
        threading.Thread(
            target=self._look_up, args=(address, answers), name="address-lookup", daemon=True
        ).start()
        try:
            answer = answers.get(timeout=self._seconds)
        except queue.Empty:
            raise _unresolved(address, f"no answer within {self._seconds:g} seconds") from None
        if isinstance(answer, Exception):
            reason = answer.strerror if isinstance(answer, OSError) else None
            raise _unresolved(address, reason or "it is no host name") from answer
        return answer

    def _look_up(self, address: str, answers: queue.SimpleQueue[Any]) -> None:
        try:
            answers.put(self._lookup(address))
        except (OSError, ValueError) as error:  # names that IDNA cannot encode are a ValueError
            answers.put(error)
        finally:
            self._slots.release()


def check_host(address: str) -> None:
    """Check that text can be a host name or an IP address.

    Raises:
        CommandError: It cannot.
    """
    if len(address) > MAX_ADDRESS or not address.isprintable() or any(map(str.isspace, address)):
        raise CommandError(
            f"the address {brief(address)} is none; allowed is a host name or an IP address of "
            f"{MAX_ADDRESS} characters at most, without blanks"
        )
    if _literal(address) is None and any(sign in address for sign in ":/@[]"):
        raise CommandError(
            f"the address {brief(address)} is none; allowed is a host name or an IP address alone, "
            "and the port goes into an argument of its own"
        )


def _system_lookup(address: str) -> Sequence[Any]:
    return socket.getaddrinfo(address, None, type=socket.SOCK_STREAM)


def _literal(address: str) -> str | None:
    try:
        return str(ipaddress.ip_address(address))
    except ValueError:
        return None


def _preferred(found: Sequence[Any]) -> str | None:
    # Servers listen on version 4 unless told otherwise; "localhost" is often both.
    ordered = sorted(found, key=lambda each: each[0] != socket.AF_INET)
    known = (each for each in ordered if each[0] in (socket.AF_INET, socket.AF_INET6))
    first = next(known, None)
    return None if first is None else str(first[4][0])


def _unresolved(address: str, reason: str) -> CommandError:
    return CommandError(f"the address {brief(address)} does not resolve: {reason}")
