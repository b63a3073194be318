"""Connected clients: what is sent to them, what they send, and how a connection ends."""
