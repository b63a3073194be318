"""Faults in a run that are found without a question: one rule a file, over the same evidence."""
