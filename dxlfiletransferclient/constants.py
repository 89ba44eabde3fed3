"""Names and limits of version 1 of the file transfer.

The strings are part of the wire: published clients and services of version 0.1 use the same.
"""

from typing import Final


class HashType:
    """Kinds of hashes, the keys of ``FileSendResult.hashes``."""

    SHA256: Final = "sha256"


class FileStoreProp:
    """Names of the fields of a store request and of its answer."""

    ID: Final = "file_id"
    NAME: Final = "name"
    SIZE: Final = "size"
    HASHES: Final = "hashes"
    HASH_SHA256: Final = "hash_sha256"
    SEGMENT_NUMBER: Final = "segment_number"
    SEGMENTS_RECEIVED: Final = "segments_received"
    TOTAL_SEGMENTS: Final = "total_segments"
    RESULT: Final = "result"


class FileStoreResultProp:
    """Values of ``FileStoreProp.RESULT``: what a request asks for, and what became of the file."""

    CANCEL: Final = "cancel"
    STORE: Final = "store"
    NONE: Final = None


SERVICE_TYPE: Final = "/opendxl-file-transfer/service/file-transfer"
"""Type under which file transfer services register on the fabric."""

DEFAULT_STORE_TOPIC: Final = f"{SERVICE_TYPE}/file/store"
"""Topic that takes store requests unless client and service agree on another one."""

MESSAGE_LIMIT: Final = 1_048_576
"""Bytes of one MQTT message (its remaining length) that a broker takes by default.

One byte more and the broker drops the sender's connection without a word.
"""

ENVELOPE_ROOM: Final = 8192
"""Bytes of a message kept free of file content.

They hold the topic, the DXL envelope, a name of up to 4 KiB and the stamps that brokers add on the
way. More room would cost less than one percent of speed; less risks a dropped connection.
"""

MAX_SEGMENT_SIZE: Final = MESSAGE_LIMIT - ENVELOPE_ROOM
"""Largest segment, in bytes, that a client may send."""

DEFAULT_SEGMENT_SIZE: Final = 51_200
"""Bytes per segment unless the caller asks for another size.

Every segment costs one round trip, so larger ones are faster; this is the size that version 0.1
uses, and it suits every broker and small services.
"""

MAX_NAME_BYTES: Final = 4096
"""Bytes of UTF-8 that the name of a stored file may have in all (the usual limit of a path)."""

MAX_FILE_ID_LENGTH: Final = 64
"""Characters that a file id may have; a UUID has 36."""
