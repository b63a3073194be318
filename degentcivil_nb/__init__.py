"""Debug a living town of LLM-driven characters from a Jupyter notebook."""
