import pytest

from dxlfiletransferclient import constants
from dxlfiletransferclient.constants import FileStoreProp, FileStoreResultProp, HashType


@pytest.mark.parametrize(
    ("owner", "name", "value"),
    [
        (HashType, "SHA256", "sha256"),
        (FileStoreProp, "ID", "file_id"),
        (FileStoreProp, "NAME", "name"),
        (FileStoreProp, "SIZE", "size"),
        (FileStoreProp, "HASHES", "hashes"),
        (FileStoreProp, "HASH_SHA256", "hash_sha256"),
        (FileStoreProp, "SEGMENT_NUMBER", "segment_number"),
        (FileStoreProp, "SEGMENTS_RECEIVED", "segments_received"),
        (FileStoreProp, "TOTAL_SEGMENTS", "total_segments"),
        (FileStoreProp, "RESULT", "result"),
        (FileStoreResultProp, "CANCEL", "cancel"),
        (FileStoreResultProp, "STORE", "store"),
        (FileStoreResultProp, "NONE", None),
    ],
)
def test_names_of_the_wire(owner: type, name: str, value: str | None) -> None:
    assert getattr(owner, name) == value


def test_service_type_and_topic() -> None:
    assert constants.SERVICE_TYPE == "/opendxl-file-transfer/service/file-transfer"
    assert (
        constants.DEFAULT_STORE_TOPIC == "/opendxl-file-transfer/service/file-transfer/file/store"
    )


def test_a_segment_and_its_envelope_fit_into_a_message() -> None:
    assert constants.MAX_SEGMENT_SIZE + constants.ENVELOPE_ROOM <= constants.MESSAGE_LIMIT
    assert constants.DEFAULT_SEGMENT_SIZE <= constants.MAX_SEGMENT_SIZE
    assert constants.DEFAULT_SEGMENT_SIZE == 51_200
