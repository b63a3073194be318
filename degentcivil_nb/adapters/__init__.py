"""Simulations and frameworks made visible without changing them."""
