"""What is wrong in a run, said unasked: one rule a file, over the same evidence."""
