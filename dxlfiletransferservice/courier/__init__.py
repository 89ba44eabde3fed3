"""What sends the transfers: a courier for each destination, and the scheduler that shares it."""
