"""The methods of `Session`, by concern."""
