"""What every other room stands on: small parts that know nothing of messages, servers or notebooks."""
