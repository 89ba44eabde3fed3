"""The Python example of the README, run as it is printed."""

import hashlib
import re
from pathlib import Path

from tests.processes import ROOT, Processes, RunningProcess


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
    assert (tmp_path / "copy.pcap").read_bytes() == content
    assert server.end() == 0


def test_the_commands_do_what_they_say(processes: Processes, tmp_path: Path) -> None:
    text = (ROOT / "README.md").read_text()
    block = text[text.index("## On one machine") : text.index("Interrupted, killed")]
    server, export, *commands = [line.split("#")[0].split() for line in block.splitlines()[2:-1]]
    assert server[0] == "dxlft"
    name, _, home = export[1].partition("=")
    (tmp_path / "my.pcap").write_bytes(bytes(2_000_000))
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "may").write_text("may")

    def start(*arguments: str) -> RunningProcess:
        command = ("-m", "dxlfiletransferservice.command", *arguments)
        return processes.start_python(*command, environment={name: home})

    running = start(*server[1:], "--port", "0")
    running.wait_for_line("ready")
    assert [command[1] for command in commands] == ["send", "ls", "get", "rm"]
    for command in commands:
        done = start(*command[1:])
        assert done.wait() == 0, done.errors
    assert (tmp_path / "copy" / "photos" / "may").read_text() == "may"
    stored = {path.name for path in (tmp_path / home / "storage").iterdir()}
    assert stored == {".workdir", "photos"}
    assert running.end() == 0
