"""What lets others in: sessions, and what their holders may store and fetch."""
