"""What a call is in either direction, whether it sends or receives.

==========  =======================================================================
``caller``  makes calls over a bus, one at a time
``ledger``  what is told of one call, meanwhile and at its end (no input or output)
==========  =======================================================================
"""
