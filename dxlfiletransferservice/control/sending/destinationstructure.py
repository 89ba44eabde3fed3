"""What programs are told of a destination."""

from typing import Any

from dxlfiletransferservice.control.principals import owner_fields
from dxlfiletransferservice.control.sending.rates import kilobits_per_second
from dxlfiletransferservice.courier.seams import DestinationState


def destination_structure(row: Any, state: DestinationState, queued: int) -> dict[str, Any]:
    """Return the structure of a destination.

    Args:
        row: Its row, with the address of the broker that is dialled as ``dialled_ip``.
        state: How it is at the moment.
        queued: Transfers that wait for it.
    """
    return {
        "destinationId": str(row.id),
        "connectionId": str(row.connection_id),
        "destinationAddress": row.address,
        "destinationIP": row.ip,
        "destinationPort": row.port,
        "relayAddress": row.relay_address,
        "relayIP": row.dialled_ip if row.relay_address is not None else None,
        "relayPort": row.relay_port,
        "senderPort": row.sender_port,
        "authenticateDestination": row.authenticate,
        "destinationPublicKey": row.public_key or state.public_key,
        **session_fields(state),
        "lastDestinationServerId": row.last_server_id,
        "lastDestinationServerUid": row.last_server_uid,
        "lastReceiverDestinationId": row.last_receiver_id,
        "lastSendTime": row.last_send,
        "lastRecvTime": row.last_receive,
        "numTransfersQueued": queued,
        "sendRateMax": row.send_rate_max,
        "sendRate": kilobits_per_second(state.rate),
        "priorityLanes": dict(row.lanes),
        "transferDefaults": dict(row.defaults),
        "exclusive": row.exclusive,
        "permanent": row.permanent,
        "userData": dict(row.user_data),
        **owner_fields(row),
    }


def session_fields(state: DestinationState) -> dict[str, Any]:
    """Return the fields that say how the session with a destination is."""
    return {
        "encryptedConnectionState": state.state.value,
        "encryptionEnabled": True,
        "lastError": state.error,
        "lastErrorMessage": state.error_message,
        "roundTripTimeMs": None if state.round_trip is None else state.round_trip * 1000.0,
    }
