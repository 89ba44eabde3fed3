"""Requests and answers in flight: many at once, repeated when lost, on one service instance.

==============  ======================================================================
``bus``         what the engine needs of a message bus
``dxlbus``      the same over a DXL client
``jobs``        what a transfer is to the engine: something that asks and hears answers
``engine``      drives jobs over a bus until they are done
``options``     what a caller may choose about that
``cancelling``  how one thread ends what another one waits for
``supply``      the jobs of one call, as they come
``roster``      the jobs under way, each of which may fail without harm to the others
``pending``     requests without an answer (no input or output)
``waiting``     those that wait to be sent (no input or output)
``deadlines``   those in flight, and until when they are waited for (no input or output)
``schedule``    things in order of a number (no input or output)
``window``      how many bytes may be outstanding, and how long to wait (no input or output)
``patience``    how long nothing may move forward (no input or output)
``pausing``     how long to wait before something is asked again (no input or output)
``question``    one small question and its answer, as a job
``pinning``     the instance in use: found at the start, and again when it was lost
``recovery``    how to look for it (no input or output)
``seeking``     carries the questions of that search over the bus
``instances``   what the registry tells, and which instance to use (no input or output)
==============  ======================================================================
"""
