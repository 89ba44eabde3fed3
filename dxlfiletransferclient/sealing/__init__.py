"""Sessions that only their two ends can read. No input or output, but for one file.

==============  ======================================================================
``passage``     how one end gets into a session, and into the next one when it is lost
``guardedjob``  a job of the engine whose requests travel in a session
``channel``     the two ends of a session: what seals and opens
``handshake``   the two messages by which a session begins, and the keys that follow
``admission``   what is said in these messages
``noise``       the pattern of the handshake
``ciphers``     what a cipher makes of one message
``heads``       what is said of a message inside, beside its payload
``replays``     which requests were taken already
``keys``        key pairs, and public keys as text
``keyfile``     the file that a server's own key lies in
==============  ======================================================================
"""
