from collections.abc import Iterator
from typing import IO, Any

class ConfigObjError(SyntaxError): ...

class Section(dict[str, Any]):
    def as_bool(self, key: str) -> bool: ...
    def __iter__(self) -> Iterator[str]: ...

class ConfigObj(Section):
    initial_comment: list[str]
    def __init__(
        self,
        infile: IO[bytes] | str | None = None,
        *,
        interpolation: bool | str = True,
        encoding: str | None = None,
        raise_errors: bool = False,
        file_error: bool = False,
    ) -> None: ...
    def write(self, outfile: IO[bytes] | None = None) -> list[str] | None: ...
