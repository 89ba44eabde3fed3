"""Which of the transfer servers on a fabric is meant. No input or output."""

from collections.abc import Iterable

from dxlfiletransferclient.control.errors import ServerChoiceError
from dxlfiletransferclient.errors import brief
from dxlfiletransferclient.exchange.instances import Instance
from dxlfiletransferclient.protocol.messages import HelloAnswer

MOST_SHOWN = 10
"""Servers that an error lists at most."""


def shown(hello: HelloAnswer) -> str:
    """Return how a server is called in messages."""
    name = f"transfer server {brief(hello.server_name or '')}"
    return f"{name} ({uid_of(hello)})"


def uid_of(hello: HelloAnswer) -> str:
    """Return what tells a server from all others, also after a restart."""
    return hello.server_uid or hello.store_id


def chosen(instances: Iterable[Instance], server: str | None) -> Instance:
    """Return the instance of the server that is meant.

    Args:
        instances: All that have answered; one or more.
        server: Name or uid of the server; ``None`` for the only one.

    Raises:
        ServerChoiceError: None is the one, or several are; the text lists what there is.
    """
    found = {uid_of(each.hello): each for each in instances}
    if server is None:
        candidates = list(found.values())
        reason = "there are several transfer servers on this fabric; name one as 'server'"
    else:
        candidates = [each for uid, each in found.items() if uid == server]
        candidates = candidates or [
            each for each in found.values() if each.hello.server_name == server
        ]
        reason = f"no transfer server has the name or uid {brief(server)}; this fabric has"
        if candidates:
            reason = f"several transfer servers have the name {brief(server)}; name one by its uid"
    if len(candidates) == 1:
        return candidates[0]
    offered = sorted(shown(each.hello) for each in candidates or found.values())
    more = f" and {len(offered) - MOST_SHOWN} more" if len(offered) > MOST_SHOWN else ""
    raise ServerChoiceError(f"{reason}: {'; '.join(offered[:MOST_SHOWN])}{more}")
