"""Figures: a DataFrame in, a plotly figure out. No widgets."""
