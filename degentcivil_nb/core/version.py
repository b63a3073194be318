"""The version of this package, as it is written to files and sent to peers."""

__version__ = "0.1.0"
