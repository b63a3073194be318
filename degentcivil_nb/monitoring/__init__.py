"""Who counts and who looks on: metrics, health and a record of traffic."""
