"""How the sending of one file ended."""

from dataclasses import dataclass

from dxlfiletransferclient.outcomes import Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """How a job ended.

    Attributes:
        result: What became of the file.
        size: Its bytes, as far as they are known.
        sha256: SHA-256 of them, if it is known.
        sent: Bytes that travelled for it and were acknowledged.
        resumed: Bytes that the service had in the beginning.
        seconds: From the first request to the last answer.
        error: Why it failed.
    """

    result: Result
    size: int
    sha256: str | None
    sent: int
    resumed: int
    seconds: float
    error: BaseException | None = None
