"""Small parts that every other package uses; they know nothing of messages, servers or notebooks."""
