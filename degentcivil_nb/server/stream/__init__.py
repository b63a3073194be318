"""The stream: the shared history, the frames cut from it, and the snapshot of the characters."""
