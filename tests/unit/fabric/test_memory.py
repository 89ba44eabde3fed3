"""Memory that is kept: only where the C library can, and without harm elsewhere."""

import ctypes
import sys
from unittest.mock import Mock, call

import pytest
from pytest_mock import MockerFixture

from dxlfabric.memory import LARGEST_KEPT, MOST_KEPT, keep_freed_memory


@pytest.fixture
def mallopt(mocker: MockerFixture) -> Mock:
    found = Mock(return_value=1)
    mocker.patch.object(sys, "platform", "linux")
    mocker.patch.object(ctypes, "CDLL", return_value=Mock(mallopt=found))
    return found


def test_both_thresholds_are_set(mallopt: Mock) -> None:
    assert keep_freed_memory()
    assert mallopt.mock_calls == [call(-3, LARGEST_KEPT), call(-1, MOST_KEPT)]


def test_it_says_so_if_the_library_refuses(mallopt: Mock) -> None:
    mallopt.return_value = 0
    assert not keep_freed_memory()


def test_another_c_library_is_left_alone(mocker: MockerFixture) -> None:
    mocker.patch.object(sys, "platform", "linux")
    mocker.patch.object(ctypes, "CDLL", autospec=True).return_value = object()
    assert not keep_freed_memory()


def test_another_system_is_left_alone(mocker: MockerFixture) -> None:
    mocker.patch.object(sys, "platform", "darwin")
    loaded = mocker.patch.object(ctypes, "CDLL", autospec=True)
    assert not keep_freed_memory()
    loaded.assert_not_called()
