"""Values that commands of the control API take, and that structures hold."""

from typing import Final

API_VERSION: Final = 40
"""Level of the control API; a client and a server of the same level understand each other."""

DEFAULT_API_PORT: Final = 8886
"""Port of a server, unless it was told otherwise."""

DEFAULT_SERVER_ADDRESS: Final = "localhost"
"""The server that is meant where none is named."""

DEFAULT_TIMEOUT_SECONDS: Final = 10
"""Seconds in which a connection has to come about, and a call has to be answered."""

FILETYPE_DIRECTORY: Final = 2
"""``flags`` of a mapping: an empty directory."""

FILETYPE_REGULAR_FILE: Final = 4
"""``flags`` of a mapping: a regular file."""

MIN_CIPHER_NONE: Final = 0
"""Nothing is sealed: whoever runs a broker on the way can read and change it."""

MIN_CIPHER_UNENCRYPTED: Final = 1
"""Everything is readable on the way, and nobody can change it unnoticed."""

MIN_CIPHER_ENCRYPTED_128: Final = 2
"""Nobody on the way can read or change anything; AES-128-GCM."""

MIN_CIPHER_ENCRYPTED_256: Final = 3
"""The same with AES-256-GCM, which costs a little more."""

OVERWRITE_IN_PLACE_NEVER: Final = 0
"""An older file is kept. Files are never written in place here, so this is ``OVERWRITE_NEVER``."""

OVERWRITE_IN_PLACE_ALWAYS: Final = 1
"""An older file is replaced; the same as ``OVERWRITE_ALWAYS``."""

OVERWRITE_IN_PLACE_SAME_SIZE: Final = 2
"""An older file is replaced if it is empty or has the same size; otherwise the file fails."""

OVERWRITE_NEVER: Final = 3
"""An older file is kept, and the new one is not stored."""

OVERWRITE_ALWAYS: Final = 4
"""An older file is replaced in one step, when the new one is whole."""

OVERWRITE_WITH_BACKUP: Final = 5
"""The same, and the older file is kept beside it with ``.jetbak`` after its name."""

OVERWRITE_WITH_PARTFILE_NEVER: Final = OVERWRITE_NEVER
"""What ``OVERWRITE_NEVER`` was called before."""

OVERWRITE_WITH_PARTFILE_ALWAYS: Final = OVERWRITE_ALWAYS
"""What ``OVERWRITE_ALWAYS`` was called before."""

OVERWRITE_WITH_PARTFILE_BACKUP: Final = OVERWRITE_WITH_BACKUP
"""What ``OVERWRITE_WITH_BACKUP`` was called before."""

TRANSFER_FLAG_NONE: Final = 0
"""Neither are files read nor written: zeros travel and are dropped, to measure the way."""

TRANSFER_FLAG_READ: Final = 1
"""Files are read; without it zeros travel in their place."""

TRANSFER_FLAG_WRITE: Final = 2
"""Files are written; without it the receiver checks what comes and drops it."""

TRANSFER_FLAG_WRITE_MTIME: Final = 4
"""Files get the modification time that they have at the sender."""

TRANSFER_FLAG_WRITE_ONLY_NEWER: Final = 8
"""A file is written only if it was modified later than the one of that name at the receiver."""

DEFAULT_TRANSFER_FLAGS: Final = TRANSFER_FLAG_READ | TRANSFER_FLAG_WRITE | TRANSFER_FLAG_WRITE_MTIME
"""What a transfer does unless it is told otherwise."""

SYMLINK_IGNORE: Final = 0
"""Links are left out."""

SYMLINK_FOLLOW_FILES: Final = 1
"""The file that a link leads to takes its place."""

SYMLINK_FOLLOW_DIRECTORIES: Final = 2
"""The directory that a link leads to takes its place."""

SYMLINK_FOLLOW: Final = SYMLINK_FOLLOW_FILES | SYMLINK_FOLLOW_DIRECTORIES
"""What links lead to takes their place; the default."""

PERMISSIONS: Final = frozenset({"upload", "download", "delete", "createLinks"})
"""What an API token may permit."""

DEFAULT_PRIORITY: Final = 100
"""Priority of a transfer; lower numbers go first."""

MAX_PRIORITY: Final = 2**32 - 1
"""Highest number that a priority may have."""

DEFAULT_PRIORITY_LANES: Final = {"High": 0.70, "Normal": 0.25, "Low": 0.05, "Idle": 0.0}
"""Lanes of a destination, and their shares of its rate. Do not change it: copy it."""

DEFAULT_PRIORITY_LANE: Final = "Normal"
"""Lane of a transfer, if its destination has a lane of that name; otherwise its first lane."""

BLOCK_SIZE: Final = 256
"""Bytes of a block, in which structures count."""

UNLIMITED_RATE: Final = -1
"""A rate that limits nothing."""

MAX_PAGE: Final = 500
"""Objects in one answer at most; longer lists are fetched page by page."""
