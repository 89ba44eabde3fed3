"""The store behind the service: where the bytes of files under way and of whole files lie.

Files under way:

================  ==================================================================
``intake``        the requests of version 2 about them
``finishing``     checks whole files and gives them their names
``grants``        how many bytes each client may have outstanding (no input, output)
``working``       all of them in one working directory, with its lock
``places``        who works on which of them (no input or output)
``opening``       begins them, and goes on with those of a former process
``partial``       one of them, for several threads
``turns``         its lock, and who waits for what
``holdings``      which of its bytes are there and durable (no input or output)
``checkpoints``   when it is flushed (no input or output)
``frontier``      its SHA-256, which runs along
``partfile``      its bytes on the disk
``journalfile``   its journal on the disk
``journal``       the records of the journal, and what they add up to (no input, output)
``recovery``      what is left of it after a crash
``descriptors``   keeps a bounded number of files open
``partialnames``  what its two files are called
``home``          what they have in common
``expiry``        when they are given up (no input or output)
``identity``      the name of the store
``legacy``        what version 0.1 left in a working directory
================  ==================================================================

Stored files:

================  ==================================================================
``catalogue``     everything about them; ``publishing``, ``putting``, ``contents``,
                  ``listing``, ``removing`` and ``links`` do the work
``quotas``        limits on their bytes
``names``         which names are safe, and their parts (no input or output)
``layout``        makes and checks the two directories of a store
``directory``     one directory held open; everything else reaches the disk through it
``rooted``        finds and makes directories below one root
================  ==================================================================

``local`` joins both into a store as ``interface`` says what one is.
"""
