"""Admission to the server: port, TLS, origins, tokens and the number of connections."""
