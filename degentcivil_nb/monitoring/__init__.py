"""Counters, health and a record of traffic, for both sides of a connection."""
