"""The shell's words: `degentcivil-nb lab`, `demo`, `tail`, and those about recordings."""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Final

from . import recordings as shell_recordings
from .arguments import (
    FAILED,
    INTERRUPTED,
    OK,
    TOKEN_VARIABLE,
    USAGE,
    Failure,
    WrongUsage,
    count,
    port,
    positive,
    read_token,
    seconds,
)

__all__ = ["FAILED", "INTERRUPTED", "OK", "TOKEN_VARIABLE", "USAGE", "Failure", "WrongUsage", "main", "read_token"]

FIRST_NOTEBOOK: Final = "01_first_look.ipynb"
URL_VARIABLE: Final = "DEGENTCIVIL_URL"
"""Where the first notebook connects to, instead of a demo town of its own."""

EXIT_CODES: Final = """\
exit codes: 0 done, or asked to end by SIGTERM; 1 it failed, and said why; 2 wrong usage; 130 ended by Ctrl-C"""


# --- lab -----------------------------------------------------------------------------------------------------------


def lab(arguments: argparse.Namespace, rest: Sequence[str]) -> int:
    """Open JupyterLab on the user's own copy of the first notebook."""
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise Failure("JupyterLab is not installed here; get it with: pip install 'degentcivil-nb[lab]'") from None
    notebook = copy_notebooks(notebooks_folder(), arguments.folder)
    print(f"Opening {notebook}: choose Run › Run All Cells, and the town comes alive.")
    if arguments.url is not None:
        os.environ[URL_VARIABLE] = arguments.url  # the kernel inherits it
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        rest = [*rest, "--allow-root"]  # as in a container, where there is nobody else to be
    where = f"--LabApp.default_url=/lab/tree/{notebook.name}"  # in the URL that it prints, too
    LabApp.launch_instance([str(notebook), where, *rest])
    return OK


def notebooks_folder() -> Path:
    """Find the notebooks that came with the package: inside it, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    raise Failure("this installation has no notebooks in it; install degentcivil-nb again")


def copy_notebooks(source: Path, folder: Path) -> Path:
    """Copy the notebooks that `folder` has not got yet and give the path of the first; nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(source.glob("*.ipynb")):
        if not (folder / notebook.name).exists():
            shutil.copyfile(notebook, folder / notebook.name)
    return folder / FIRST_NOTEBOOK


# --- demo ----------------------------------------------------------------------------------------------------------


def demo(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Run a town that notebooks anywhere can connect to, until it is told to end."""
    from ..demo.local_server import start_local_server

    token = read_token(arguments.token_file)
    made_up = arguments.make_token and token is None
    if made_up:
        token = secrets.token_urlsafe(24)
    try:
        server = start_local_server(
            arguments.port,
            host=arguments.host,
            characters=arguments.characters,
            tick_s=arguments.tick,
            seed=arguments.seed,
            paused=arguments.paused,
            token=token,
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    with server:
        print(f"A town of {arguments.characters:,} characters is at {server.url}")
        if made_up:
            print(f"Its token: {token}")
        asks = f", token=os.environ[{TOKEN_VARIABLE!r}]" if token else ""
        print(f'In a notebook: dc.connect("{server.url}"{asks})')
        print("Ctrl-C ends it.", flush=True)
        while True:
            time.sleep(3600)  # a signal ends it; an Event would not be woken by Ctrl-C on Windows


# --- tail ----------------------------------------------------------------------------------------------------------


def tail(arguments: argparse.Namespace, _rest: Sequence[str]) -> int:
    """Print what a simulation sends, a line a message."""
    from .tail import follow

    token = read_token(arguments.token_file)
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # a terminal that is not UTF-8
    try:
        asyncio.run(
            follow(
                arguments.url,
                sys.stdout,
                sys.stderr,
                token=token,
                history=arguments.history,
                types=arguments.type,
                form="json" if arguments.json else "text",
            )
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return OK


# --- the whole -----------------------------------------------------------------------------------------------------


def build_parser() -> argparse.ArgumentParser:
    """Describe the commands and what each of them takes."""
    from ..core.version import __version__

    parser = argparse.ArgumentParser(
        prog="degentcivil-nb", description="Debug a living town of LLM-driven characters.", epilog=EXIT_CODES
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        run: Callable[[argparse.Namespace, Sequence[str]], int], summary: str, more: str = ""
    ) -> argparse.ArgumentParser:
        command = commands.add_parser(
            run.__name__,
            help=summary,
            description=f"{summary[0].upper()}{summary[1:]}. {more}".strip(),
            epilog=EXIT_CODES,
            allow_abbrev=False,
        )
        command.set_defaults(run=run, takes_rest=run is lab)
        return command

    def add_token(command: argparse.ArgumentParser) -> None:
        command.add_argument(
            "--token-file",
            type=Path,
            metavar="FILE",
            help=f"read the token from a file (default: from {TOKEN_VARIABLE})",
        )

    command = add(
        lab,
        "open JupyterLab on the first notebook, with a demo town",
        "The notebooks are copied to a folder of yours, where they are never overwritten. "
        "All other arguments go to JupyterLab, for example --no-browser --port 9000.",
    )
    command.add_argument(
        "--folder", type=Path, default=Path("my-notebooks"), help="where your copies are (default: %(default)s)"
    )
    command.add_argument("--url", metavar="URL", help="a simulation to connect to, instead of a demo town")

    command = add(demo, "run a demo town to connect to")
    command.add_argument(
        "--host",
        default="127.0.0.1",
        help="address to listen at; any but this machine's own needs a token (default: %(default)s)",
    )
    command.add_argument("--port", type=port, default=8765, help="port, 0 for a free one (default: %(default)s)")
    command.add_argument("--characters", type=positive, default=12, metavar="N", help="how many (default: %(default)s)")
    command.add_argument("--tick", type=seconds, default=0.1, metavar="S", help="seconds a tick (default: %(default)s)")
    command.add_argument("--seed", type=int, default=0, help="the same seed gives the same run (default: %(default)s)")
    command.add_argument("--paused", action="store_true", help="begin paused")
    command.add_argument("--make-token", action="store_true", help="make up a token, ask for it, and print it here")
    add_token(command)

    command = add(tail, "print messages as they come", "Control characters are shown as escapes, never obeyed.")
    command.add_argument("url", metavar="URL", help="for example ws://localhost:8765")
    command.add_argument("--json", action="store_true", help="a line of JSON a message, whole")
    command.add_argument("--type", action="append", default=[], help="only messages of this type (may be repeated)")
    command.add_argument(
        "--history",
        type=count,
        default=10,
        metavar="N",
        help="begin with that many past messages (default: %(default)s)",
    )
    add_token(command)

    shell_recordings.declare(add, add_token)
    return parser


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(OK)  # unwinds every `with`, like Ctrl-C does


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and give its exit code."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(argv)
    if rest and not arguments.takes_rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if arguments.run is not lab:  # JupyterLab has handlers of its own
        signal.signal(signal.SIGTERM, _terminate)
    try:
        code: int = arguments.run(arguments, rest)
    except KeyboardInterrupt:
        return INTERRUPTED
    except WrongUsage as error:
        return _complain(error, USAGE)
    except (Failure, OSError) as error:
        return _complain(error, FAILED)
    return code


def _complain(error: Exception, code: int) -> int:
    print(f"degentcivil-nb: {error}", file=sys.stderr)
    return code
