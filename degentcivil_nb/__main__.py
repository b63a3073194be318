"""The shell command `degentcivil-nb`, also as `python -m degentcivil_nb`."""

from __future__ import annotations

import sys

from .core.extras import missing


def main() -> int:
    """Run the command; if its libraries are not installed, say how to install them."""
    try:
        from .cli.app import main as run
    except ModuleNotFoundError as error:
        told = missing("the command degentcivil-nb", error)
        if told is error:
            raise
        sys.stderr.write(f"{told}\n")
        return 1
    return run()


if __name__ == "__main__":  # not for a child process that a library starts by importing the main module again
    sys.exit(main())
