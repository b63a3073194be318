"""Figures: a DataFrame in, a plotly figure out; no widgets."""
