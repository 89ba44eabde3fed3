"""Where to send and what: destinations, connections, transfers, and the work of couriers."""
