"""Panels and the dashboard, drawn by one refresher for each session."""
