"""The questions that sessions and recordings answer, by concern."""
