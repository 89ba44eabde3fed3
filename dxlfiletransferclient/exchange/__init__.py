"""Requests and answers in flight: many at once, repeated when lost, on one service instance.

==============  =====================================================================
``bus``         what the engine needs of a message bus
``dxlbus``      the same over a DXL client
``window``      how many bytes may be outstanding, and how long to wait (no input or output)
``jobs``        what a transfer is to the engine: something that asks and hears answers
``instances``   which service instances there are, and which one to use
``engine``      drives jobs over a bus until they are done
``cancelling``  how one thread ends what another one waits for
==============  =====================================================================
"""
