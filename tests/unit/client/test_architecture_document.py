"""The architecture's document names what there is."""

import ast
import re
from pathlib import Path

import pytest

from tests.processes import ROOT

DOCUMENT = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PICTURE = (ROOT / "docs" / "architecture.svg").read_text(encoding="utf-8")
PACKAGES = [path.parent for path in ROOT.glob("*/__init__.py") if path.parent.name != "tests"]
MODULES = {
    path.relative_to(package).with_suffix("").as_posix().replace("/", "."): path
    for package in PACKAGES
    for path in package.rglob("*.py")
}
OUTSIDE_OF_THE_CORE = {"asyncio", "dxlclient", "select", "selectors", "socket", "subprocess"}


def table() -> list[tuple[str, str, str]]:
    """The rows of the table of core and shell."""
    rows = re.findall(r"^\| `(\w+)` \| (.+) \| (.+) \|$", DOCUMENT, re.MULTILINE)
    assert len(rows) == 3
    return rows


def paths(package: str, cell: str) -> list[Path]:
    names = re.findall(r"`([\w.]+)`", cell)
    return [ROOT / package / (name.replace(".", "/") + ".py") for name in names]


@pytest.mark.parametrize(("package", "core", "shell"), table())
def test_modules_of_the_table(package: str, core: str, shell: str) -> None:
    assert [path for path in paths(package, core + shell) if not path.is_file()] == []


@pytest.mark.parametrize(("package", "core", "shell"), table())
def test_the_core_imports_nothing_that_does_input_or_output(
    package: str, core: str, shell: str
) -> None:
    for path in paths(package, core):
        imported: set[str] = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                imported.update(each.name.split(".")[0] for each in node.names)
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").split(".")[0])
        assert not imported & OUTSIDE_OF_THE_CORE, path


def test_files_that_the_text_names() -> None:
    names = re.findall(r"`(?:\w+/)*(\w+)\.py`", DOCUMENT)
    assert len(names) > 15
    assert set(names) <= {name.rpartition(".")[2] for name in MODULES}


def test_modules_in_the_picture() -> None:
    named = re.findall(r">(?:(sending|exchange|protocol|storage): )([a-z, ]+)<", PICTURE)
    assert len(named) == 8
    for room, modules in named:
        assert {f"{room}.{module}" for module in modules.split(", ")} <= set(MODULES)
