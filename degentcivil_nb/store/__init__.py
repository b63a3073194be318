"""What is known: every event in columns, and the present of every character."""
