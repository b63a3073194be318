"""The demo town and the local server that runs it."""
