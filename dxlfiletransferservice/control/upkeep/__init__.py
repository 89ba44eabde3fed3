"""What goes on beside: requests, events, triggers, life times, facts about the server."""
