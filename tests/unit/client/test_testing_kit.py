"""What the test kit is as a package: its names, its examples, and what it needs."""

import doctest
import subprocess
import sys
from types import ModuleType

import pytest

import dxlfiletransferclient.testing as kit
from dxlfiletransferclient.protocol.verbs import Verb
from dxlfiletransferclient.testing import faults, memorybus, memorystore, timeline


def test_all_that_is_exported_exists_and_is_sorted() -> None:
    assert sorted(kit.__all__, key=str.casefold) == sorted(set(kit.__all__), key=str.casefold)
    for name in kit.__all__:
        assert hasattr(kit, name), name


@pytest.mark.parametrize("module", [kit, faults, memorybus, memorystore, timeline])
def test_the_examples_are_true(module: ModuleType) -> None:
    known = {**{name: getattr(kit, name) for name in kit.__all__}, "Verb": Verb}
    result = doctest.testmod(module, extraglobs=known)
    assert result.attempted > 0
    assert result.failed == 0


def test_it_needs_no_pytest() -> None:
    program = "import sys, dxlfiletransferclient.testing; sys.exit('pytest' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
