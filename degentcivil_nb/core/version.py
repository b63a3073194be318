"""The version of this package, for what it writes and sends."""

__version__ = "0.1.0"
