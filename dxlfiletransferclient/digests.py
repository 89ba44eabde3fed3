"""The two digests of a transfer: SHA-256 of a whole file, and xxh3-128 of each of its segments.

A SHA-256 runs along while a file arrives. Its state has to outlive the process, and ``hashlib``
keeps it to itself, so the functions of the OpenSSL that Python stands on are called directly where
that is possible, and only after they were found to compute the same.
"""

import _hashlib
import ctypes
import hashlib
import logging
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import xxhash

logger = logging.getLogger(__name__)

Buffer = bytes | bytearray | memoryview

SHORT_DIGEST_LENGTH: Final = 16
"""Bytes of the digest of a segment."""

_SYSTEM_LIBRARIES: Final = ("libcrypto.so.3", "libcrypto.so.1.1")
"""Tried where Python carries OpenSSL inside itself, with nothing to be loaded from outside."""

_BLOCK: Final = 64
"""Bytes that SHA-256 takes in at a time; what does not fill a block waits in its state."""

_CONTEXT: Final = struct.Struct(f"=8I2I{_BLOCK}s2I")
"""``SHA256_CTX``: hash values, count of bits (low, high), waiting bytes, their number, 32."""

_SAVED: Final = struct.Struct(">8IQ")
"""A saved state: hash values and bytes so far; the waiting bytes follow."""

_DIGEST_LENGTH: Final = 32
_LOW_HALF: Final = 0xFFFFFFFF


def short_digest(data: Buffer) -> bytes:
    """Return the xxh3-128 of a segment; finds accidents, not attacks."""
    return xxhash.xxh3_128_digest(data)


class RunningSha256:
    """A SHA-256 whose state can be saved and gone on with. Not for several threads at once.

    Example:
        >>> first = RunningSha256()
        >>> first.update(b"abc")
        >>> saved = first.state()
        >>> again = RunningSha256.restored(saved) if saved else first
        >>> again.update(b"def")
        >>> again.hexdigest() == hashlib.sha256(b"abcdef").hexdigest()
        True
    """

    __slots__ = ("_running",)

    def __init__(self) -> None:
        crypto = _crypto()
        self._running: _Saveable | _Plain = _Saveable(crypto) if crypto else _Plain()

    def update(self, data: Buffer) -> None:
        """Take in more bytes, without copying them; other threads run meanwhile."""
        self._running.update(data)

    def hexdigest(self) -> str:
        """Return the SHA-256 of everything so far, in lower-case hex."""
        return self._running.hexdigest()

    def state(self) -> bytes | None:
        """Return the state, at most 103 bytes; ``None`` where it cannot be saved."""
        return self._running.state()

    @classmethod
    def restored(cls, state: bytes) -> "RunningSha256":
        """Go on from a saved state.

        Raises:
            ValueError: If it is none, or states cannot be gone on with here.
        """
        running = cls()
        running._running.restore(state)
        return running


class _Plain:
    """What there is without OpenSSL's own functions."""

    __slots__ = ("_digest",)

    def __init__(self) -> None:
        self._digest = hashlib.sha256()

    def update(self, data: Buffer) -> None:
        self._digest.update(data)

    def hexdigest(self) -> str:
        return self._digest.hexdigest()

    def state(self) -> None:
        return None

    def restore(self, state: bytes) -> None:
        raise ValueError(f"a state of {len(state)} bytes cannot be gone on with on this platform")


@dataclass(frozen=True, slots=True)
class _Crypto:
    init: Callable[[Any], int]
    update: Callable[[Any, Any, int], int]
    final: Callable[[Any, Any], int]


class _Saveable:
    """A SHA-256 computed in a context that can be looked into."""

    __slots__ = ("_context", "_crypto")

    def __init__(self, crypto: _Crypto) -> None:
        self._crypto = crypto
        self._context = ctypes.create_string_buffer(_CONTEXT.size)
        _done(crypto.init(self._context))

    def update(self, data: Buffer) -> None:
        if isinstance(data, bytes):
            _done(self._crypto.update(self._context, data, len(data)))
            return
        # Where other bytes lie is told by Python's own interface, also for read-only memory.
        get, release = _buffer_functions()
        view = _PyBuffer()
        there = ctypes.byref(view)
        get(data, there, 0)
        try:
            _done(self._crypto.update(self._context, view.buf, view.len))
        finally:
            release(there)

    def hexdigest(self) -> str:
        # The last step changes the context, so it is done on a copy.
        copy = ctypes.create_string_buffer(self._context.raw, _CONTEXT.size)
        digest = ctypes.create_string_buffer(_DIGEST_LENGTH)
        _done(self._crypto.final(digest, copy))
        return digest.raw.hex()

    def state(self) -> bytes:
        *values, low, high, waiting, count, _ = _CONTEXT.unpack(self._context.raw)
        length = (high << 32 | low) // 8
        return _SAVED.pack(*values, length) + bytes(waiting[:count])

    def restore(self, state: bytes) -> None:
        if len(state) < _SAVED.size:
            raise ValueError(f"a state of SHA-256 has more than {len(state)} bytes")
        *values, length = _SAVED.unpack_from(state)
        waiting = state[_SAVED.size :]
        if len(waiting) != length % _BLOCK:
            raise ValueError(f"{len(waiting)} bytes wait in a SHA-256 of {length} bytes")
        bits = length * 8
        context = _CONTEXT.pack(
            *values, bits & _LOW_HALF, bits >> 32 & _LOW_HALF, waiting, len(waiting), _DIGEST_LENGTH
        )
        ctypes.memmove(self._context, context, len(context))


class _PyBuffer(ctypes.Structure):
    """``Py_buffer``, as the stable interface of Python lays it down."""

    _fields_ = (
        ("buf", ctypes.c_void_p),
        ("obj", ctypes.c_void_p),
        ("len", ctypes.c_ssize_t),
        ("itemsize", ctypes.c_ssize_t),
        ("readonly", ctypes.c_int),
        ("ndim", ctypes.c_int),
        ("format", ctypes.c_char_p),
        ("shape", ctypes.c_void_p),
        ("strides", ctypes.c_void_p),
        ("suboffsets", ctypes.c_void_p),
        ("internal", ctypes.c_void_p),
    )


@cache
def _buffer_functions() -> tuple[Callable[..., int], Callable[..., None]]:
    """Return functions of Python's own interface; with types that nobody else gets to see."""
    pointer = ctypes.POINTER(_PyBuffer)
    get = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.py_object, pointer, ctypes.c_int)
    release = ctypes.PYFUNCTYPE(None, pointer)
    api = ctypes.pythonapi
    return get(("PyObject_GetBuffer", api)), release(("PyBuffer_Release", api))


def _done(result: int) -> None:
    if result != 1:
        raise RuntimeError("OpenSSL refuses to compute a SHA-256")


_loading: Final = threading.Lock()
_loaded: list[_Crypto | None] = []


def _crypto() -> _Crypto | None:
    """Return OpenSSL's functions, or ``None`` if they cannot be used; looked for once."""
    if not _loaded:
        with _loading:
            if not _loaded:
                _loaded.append(_found())
    return _loaded[0]


def _found() -> _Crypto | None:
    own = getattr(_hashlib, "__file__", None)
    for library in (own, *_SYSTEM_LIBRARIES):
        try:
            if library and _computes_the_same(crypto := _loaded_from(library)):
                return crypto
        except (OSError, AttributeError, RuntimeError, ValueError) as error:
            logger.debug("SHA-256 of %s cannot be used: %s", library, error)
    logger.info("The state of a SHA-256 cannot be saved here: files are read again after a crash")
    return None


def _loaded_from(library: str) -> _Crypto:
    functions = ctypes.CDLL(library)
    init, update, final = (
        functions.SHA256_Init,
        functions.SHA256_Update,
        functions.SHA256_Final,
    )
    init.argtypes = (ctypes.c_char_p,)
    update.argtypes = (ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
    final.argtypes = (ctypes.c_char_p, ctypes.c_char_p)
    return _Crypto(init, update, final)


def _computes_the_same(crypto: _Crypto) -> bool:
    """Compare with ``hashlib``, in one go and with the state saved and restored in between."""
    data = bytes(range(256)) * 5
    for length in (0, 1, _BLOCK - 1, _BLOCK, len(data) - 7):
        first, second = _Saveable(crypto), _Saveable(crypto)
        first.update(memoryview(data)[:length])
        second.restore(first.state())
        second.update(bytearray(data[length:]))
        expected = hashlib.sha256(data[:length]).hexdigest(), hashlib.sha256(data).hexdigest()
        if (first.hexdigest(), second.hexdigest()) != expected:
            return False
    return True
