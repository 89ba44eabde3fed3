"""Passwords: how they are kept, and how one is compared with what is kept."""

import base64
import logging
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError, VerifyMismatchError

from dxlfiletransferclient.control.errors import CommandError, ErrorKind

MAX_PASSWORD: Final = 1024
"""Characters of a password at most: more than anybody types, and still nothing to the memory."""

AT_ONCE: Final = 2
"""Passwords that are worked at together. Each takes the memory that :class:`Cost` says and a core;
the files that move meanwhile need the others."""

MOST_WAITING: Final = 32
"""Threads that wait for their turn at most; further ones are refused at once, as busy."""

WAIT_SECONDS: Final = 5.0
"""Seconds that a thread waits for its turn; then it is refused as busy."""

_SALT_BYTES: Final = 16
_HASH_BYTES: Final = 32

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Cost:
    """What it costs to try one password, with argon2id.

    Attributes:
        rounds: Passes over the memory.
        memory_kib: Memory in KiB.
        lanes: Threads that work at it.
    """

    rounds: int
    memory_kib: int
    lanes: int


STANDARD_COST: Final = Cost(rounds=3, memory_kib=64 * 1024, lanes=4)
"""The second choice that RFC 9106 recommends, for where memory is not plenty: 64 MiB and some
tenths of a second for each try, here and for whoever has stolen the database."""


class Passwords:
    """Makes what is kept of passwords, and compares. For any number of threads.

    Both are done in a :meth:`slot`, of which there are few.

    Args:
        cost: What a try costs. What was made at another cost can still be compared; see
            :meth:`outdated`.
        at_once: Slots.
        most_waiting: Threads that wait for one at most.
        wait_seconds: Seconds that a thread waits for one.

    Example:
        >>> passwords = Passwords(Cost(rounds=1, memory_kib=8, lanes=1))
        >>> with passwords.slot():
        ...     kept = passwords.hash("secret")
        ...     passwords.verify(kept, "secret"), passwords.verify(kept, "Secret")
        (True, False)
    """

    def __init__(
        self,
        cost: Cost = STANDARD_COST,
        *,
        at_once: int = AT_ONCE,
        most_waiting: int = MOST_WAITING,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        self._hasher = PasswordHasher(
            time_cost=cost.rounds,
            memory_cost=cost.memory_kib,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._nobody = _hash_of_nobody(cost)
        self._slots = threading.BoundedSemaphore(at_once)
        self._lock = threading.Lock()
        self._present = 0
        self._most = at_once + most_waiting
        self._wait_seconds = wait_seconds

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a turn to work at a password, and keep it as long as the context lasts.

        Raises:
            CommandError: ``BUSY``; too many wait already, or this one has waited too long.
        """
        with self._lock:
            if self._present >= self._most:
                raise _busy()
            self._present += 1
        try:
            if not self._slots.acquire(timeout=self._wait_seconds):
                raise _busy()
            try:
                yield
            finally:
                self._slots.release()
        finally:
            with self._lock:
                self._present -= 1

    def hash(self, password: str) -> str:
        """Return what is kept of a password: argon2id with a salt of its own, as text."""
        return self._hasher.hash(_bytes(password))

    def verify(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one of which something was kept.

        Args:
            kept: What :meth:`hash` has made; ``None`` if there is nobody of that name, which
                costs the same time and is never right.
            password: The password.
        """
        try:
            self._hasher.verify(self._nobody if kept is None else kept, _bytes(password))
        except VerifyMismatchError:
            return False
        except (InvalidHashError, VerificationError) as error:
            text = "What the database keeps of a password is damaged (%s): set the password anew"
            _logger.error(text, error)
            return False
        return kept is not None

    def outdated(self, kept: str) -> bool:
        """Whether something was kept at another cost, and should be made anew."""
        return self._hasher.check_needs_rehash(kept)


def check_password(password: str) -> str:
    """Return a password that somebody wants to have from now on, if it can be one.

    Raises:
        CommandError: It is empty or longer than ``MAX_PASSWORD``; the text does not show it.
    """
    if not password:
        raise CommandError(f"the password is empty; allowed are 1 to {MAX_PASSWORD} characters")
    if len(password) > MAX_PASSWORD:
        raise CommandError(f"the password has more than {MAX_PASSWORD} characters")
    return password


def _bytes(password: str) -> bytes:
    # The same letters are typed as different characters on different systems.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")


def _hash_of_nobody(cost: Cost) -> str:
    """Return what looks as if it was kept of a password, though no password leads to it."""
    salt, digest = (
        base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=")
        for size in (_SALT_BYTES, _HASH_BYTES)
    )
    return f"$argon2id$v=19$m={cost.memory_kib},t={cost.rounds},p={cost.lanes}${salt}${digest}"


def _busy() -> CommandError:
    text = "the server is checking many passwords already; try again in a few seconds"
    return CommandError(text, ErrorKind.BUSY)
