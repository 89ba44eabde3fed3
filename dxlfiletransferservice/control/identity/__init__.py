"""Who may do what: users, passwords, tokens, log-ons, sandboxes."""
