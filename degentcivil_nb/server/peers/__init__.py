"""Connected clients: what they are sent, what they send, and how a connection is closed."""
