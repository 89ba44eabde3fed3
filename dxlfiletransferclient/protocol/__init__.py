"""Version 2 of the wire: what client and service say to each other. No input or output.

==============  ====================================================================
``verbs``       the verbs and the topics they are asked on
``limits``      sizes and counts that both sides keep to
``messages``    one class for each request and answer
``parcels``     fields and payload as they travel, sealed against damage
``coding``      messages to parcels and back
``batches``     many small files in one payload
``refusals``    every error code, and what to do about it
``desk``        answers parcels by asking a store
==============  ====================================================================
"""
