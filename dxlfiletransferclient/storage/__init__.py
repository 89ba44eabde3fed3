"""The store behind the service: where the bytes of files under way and of whole files lie.

===============  ===================================================================
``names``        which names are safe, and their parts (no input or output)
``layout``       makes and checks the two directories of a store
``directory``    one directory held open; everything else reaches the disk through it
``rooted``       publishes finished files below one root
``partial``      one file under way: its bytes and its journal
``working``      all files under way in one working directory, with its lock
``expiry``       when files under way are given up (no input or output)
``legacy``       what version 0.1 left in a working directory
===============  ===================================================================
"""
