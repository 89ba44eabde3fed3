"""The methods of the API are those that its documentation promises, with their parameters."""

import inspect
import re
from typing import Any

import pytest

from jetstream import Helper, RecvInterface, SendInterface, ServerInterface, TransferObject

SEND = {
    "createDestination": "destinationAddress, sendRateMax=None, destinationPort=None, "
    "authenticateDestination=None, destinationPublicKey=None, relayAddress=None, relayPort=None, "
    "senderPort=None, exclusive=None, permanent=None",
    "createManifest": "fileMappings=None, mappings=None, symlinkOptions=None",
    "createSharedToken": "manifestId, password=None, downloadLimit=None, timeLimitSeconds=None, "
    "description=None",
    "createTransfer": "destinationId, manifestId, destinationPath=None, userName=None, "
    "password=None, priority=None, transferFlags=None, checkpointFrequencySeconds=None, "
    "sendRateMax=None, priorityLane=None, overwriteMode=None, minCipher=None, "
    "fileTimeResolutionMicroseconds=None, timeoutSeconds=None, userData=None, token=None",
    "deleteDestination": "destinationId",
    "deleteManifest": "manifestId",
    "deleteObjectUserData": "objId, key",
    "deleteSharedToken": "token",
    "deleteTransfer": "transferId",
    "failTransfer": "transferId, errorMessage=None",
    "getConnection": "connectionId",
    "getConnections": "limit=0",
    "getDestination": "destinationId",
    "getDestinations": "limit=0",
    "getManifest": "manifestId",
    "getManifestFiles": "manifestId, limit=None",
    "getManifests": "before=None, after=None, limit=None",
    "getSharedToken": "token",
    "getSharedTokens": "limit=None",
    "getTransfer": "transferId",
    "getTransfers": "destinationId=None, before=None, after=None, limit=None",
    "resumeTransferAsync": "transferId",
    "schedulePingAsync": "destinationId, pingCount",
    "setPriorityLanesAsync": "destinationId, priorityLanes",
    "setSendRateMaxAsync": "destinationId, sendRateMax",
    "setTransferPriorityAsync": "transferId, priority=None, priorityLane=None",
    "setTransferSendRateMaxAsync": "transferId, sendRateMax",
    "suspendTransferAsync": "transferId",
    "updateConnectionParamsAsync": "connectionId, sendRateMin=None, sendRateMax=None, "
    "sendRate=None, rateControlEnabled=None, rateControlMethod=None",
    "updateObjectUserData": "objId, key, value=None",
    "updateSharedToken": "token, timeLimitSeconds=None, description=None",
    "updateTransferDefaults": "destinationId, priority=None, transferFlags=None, "
    "checkpointFrequencySeconds=None, sendRateMax=None, priorityLane=None, overwriteMode=None, "
    "minCipher=None, fileTimeResolutionMicroseconds=None",
    "waitForManifest": "manifestId",
    "waitForTransfer": "transferId",
}
REQUESTS = {"getRequestStatus": "requestId", "getRequestResult": "requestId"}
SERVER = {
    "auth": "userName=None, password=None, *, token=None",
    "authAsync": "userName=None, password=None, *, token=None",
    **REQUESTS,
    "getServerInfo": "",
    "superuser": "",
    "getEventLog": "before=None, after=None, limit=None",
    "getSandboxMappings": "",
    "setSandboxMapping": "userName, mapping",
    "createAPIToken": "path=None, permissions=None, password=None, timeLimitSeconds=None, "
    "description=None",
    "getAPIToken": "token",
    "getAPITokens": "limit=None",
    "deleteAPIToken": "token",
    "garbageCollect": "",
    "updateGarbageCollectSettings": "transferLifetimeSeconds=None, manifestLifetimeSeconds=None",
    "getUsers": "",
    "createUser": "userName, password, superuser=None",
    "deleteUser": "userName",
    "setPassword": "userName, password, oldPassword=None",
}
RECV = {
    "addAuthorizedClientAsync": "clientPublicKey",
    "allowOnlyAuthorizedClientsAsync": "onlyAuthorizedClientsAllowed",
    "getSourcesAsync": "",
    "getTransfersAsync": "",
    "removeAuthorizedClientAsync": "clientPublicKey",
}
HELPER = {
    "getFileMappings": "fileList, relative_to=None",
    "getFilteredManifestFiles": "predicate",
    "getTransferFlags": "read=True, write=True",
    "sendFiles": "files, destination, destinationPath=None, relative_to=None, **options",
}
OBJECT = {"getProgress": "", "getRawStats": "", "getStatus": ""}
TABLE = [
    (SendInterface, SEND | REQUESTS),
    (ServerInterface, SERVER),
    (RecvInterface, RECV),
    (Helper, HELPER),
    (TransferObject, OBJECT),
]
ROWS = [(kind, name, parameters) for kind, table in TABLE for name, parameters in table.items()]
NAMES = [f"{kind.__name__}.{name}" for kind, name, _ in ROWS]


def public(kind: type) -> set[str]:
    """The methods of the API; those with other names are for the package itself."""
    functions = inspect.getmembers(kind, inspect.isfunction)
    return {name for name, _ in functions if re.fullmatch(r"[a-z]+([A-Z]\w*)?", name)}


@pytest.mark.parametrize(("kind", "name", "parameters"), ROWS, ids=NAMES)
def test_parameters(kind: Any, name: str, parameters: str) -> None:
    found = inspect.signature(getattr(kind, name)).parameters.values()
    plain = [each.replace(annotation=inspect.Parameter.empty) for each in found]
    own = [each for each in plain if each.name != "self"]
    assert str(inspect.Signature(own)) == f"({parameters})"


@pytest.mark.parametrize(("kind", "table"), TABLE)
def test_there_are_no_others(kind: type, table: dict[str, str]) -> None:
    assert public(kind) == set(table)


@pytest.mark.parametrize(("kind", "name", "parameters"), ROWS, ids=NAMES)
def test_each_is_typed_and_documented(kind: Any, name: str, parameters: str) -> None:
    method = getattr(kind, name)
    signature = inspect.signature(method)
    for each in signature.parameters.values():
        assert each.name == "self" or each.annotation is not inspect.Parameter.empty
    assert signature.return_annotation is not inspect.Signature.empty
    text = inspect.cleandoc(method.__doc__)
    documented = set(re.findall(r"^    (\w+): ", text, re.MULTILINE))
    wanted = set(re.findall(r"\w+(?==|,|$)", re.sub(r"=\w+", "=", parameters)))
    assert wanted <= documented
    for section in ("Example", *(["Args"] if parameters else [])):
        assert f"\n{section}:\n" in text
    if signature.return_annotation is not None:
        assert "\nReturns:\n" in text
    if name != "getTransferFlags":
        assert "\nRaises:\n" in text


def test_constructor() -> None:
    parameters = list(inspect.signature(SendInterface).parameters)
    assert parameters == ["api_interface", "sync_interface", "logging_interface"]
