"""Recordings as files: the recorder, segments, the index, and export."""
