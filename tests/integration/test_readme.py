"""The Python example of the README, run as it is printed."""

import hashlib
import re
from pathlib import Path

from tests.processes import ROOT, Processes


def example() -> str:
    """Return the first block of Python in the README."""
    text = (ROOT / "README.md").read_text()
    found = re.search(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    assert found is not None
    return found[1]


def test_the_example_stores_a_file(processes: Processes, tmp_path: Path) -> None:
    content = bytes(range(256)) * 1_000
    (tmp_path / "my.pcap").write_bytes(content)
    (tmp_path / "example.py").write_text(example())
    server = processes.start_python(
        *("-m", "dxlfiletransferservice.command", "server"),
        *("--home", "my-home", "--port", "0"),
    )
    server.wait_for_line("ready")
    program = processes.start_python("example.py")
    assert program.wait() == 0, program.errors
    assert program.output.split() == [str(len(content)), hashlib.sha256(content).hexdigest()]
    assert (tmp_path / "my-home" / "storage" / "captures" / "my.pcap").read_bytes() == content
    assert server.end() == 0
