"""What programs control the transfer server by.

=============  ==================================================================================
``identity``   who may do what: users, passwords, tokens, log-ons, sandboxes
``manifests``  what is to be sent, listed in the background
``sending``    where to send and what: destinations, connections, transfers, work for couriers
``upkeep``     what goes on beside: requests, events, triggers, life times, facts about the server
=============  ==================================================================================

Beside them is what all commands stand on: ``commands`` and ``arguments`` (how they are called),
``principals``, ``rights`` and ``superusers`` (who calls), ``database`` and ``tables`` (what is
kept), ``visits`` (the sessions they are called in). ``controlplane`` puts everything together.
"""
