import importlib

import pytest

import dxlfiletransferclient
from dxlfiletransferclient import client, constants, store


def test_all_that_is_exported_exists_and_is_sorted() -> None:
    names = dxlfiletransferclient.__all__
    assert len(names) == len(set(names))
    for name in names:
        assert hasattr(dxlfiletransferclient, name), name


def test_version() -> None:
    assert dxlfiletransferclient.get_version() == dxlfiletransferclient.__version__


@pytest.mark.parametrize(
    ("module", "name"),
    [
        (client, "FileTransferClient"),
        (client, "FileSendResult"),
        (client, "FileSendSegmentResult"),
        (store, "FileStoreManager"),
        (store, "FileStoreSegmentResult"),
        (constants, "HashType"),
        (constants, "FileStoreProp"),
        (constants, "FileStoreResultProp"),
    ],
)
def test_public_names_are_in_their_module_and_in_the_package(module: object, name: str) -> None:
    assert getattr(module, name) is getattr(dxlfiletransferclient, name)


def test_every_error_has_the_common_base() -> None:
    errors = importlib.import_module("dxlfiletransferclient.errors")
    found = [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and value.__module__ == errors.__name__
    ]
    assert len(found) > 5
    assert all(issubclass(error, dxlfiletransferclient.FileTransferError) for error in found)
