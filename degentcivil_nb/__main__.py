"""Be the shell's command `degentcivil-nb` for `python -m degentcivil_nb` too."""

import sys

from .cli.app import main

if __name__ == "__main__":  # not for a child process that a library starts by importing the main module again
    sys.exit(main())
