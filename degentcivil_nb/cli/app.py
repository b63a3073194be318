"""The shell command: `degentcivil-nb lab`, `demo`, `tail`, and the commands about recordings."""

from __future__ import annotations

import asyncio
import contextlib
import io
import os
import secrets
import shutil
import signal
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from inspect import BoundArguments
from pathlib import Path
from types import FrameType
from typing import Annotated, Final, Literal, TextIO

from cyclopts import App, CycloptsError, Parameter

from ..core.escaping import visible
from ..core.version import __version__
from .arguments import (
    FAILED,
    INTERRUPTED,
    OK,
    TOKEN_VARIABLE,
    USAGE,
    Failure,
    Flag,
    History,
    Port,
    Positive,
    Seconds,
    TokenFile,
    Unread,
    Url,
    WrongUsage,
    read_token,
    remark,
    say,
)
from .case import case
from .compare import compare
from .findings import findings
from .recordings import export, info, migrate, record, replay

__all__ = ["FAILED", "INTERRUPTED", "OK", "TOKEN_VARIABLE", "USAGE", "Failure", "WrongUsage", "main", "read_token"]

FIRST_NOTEBOOK: Final = "01_first_look.ipynb"
URL_VARIABLE: Final = "DEGENTCIVIL_URL"
"""The variable with the URL that the first notebook connects to, instead of its own demo town."""

EXIT_CODES: Final = """\
Exit codes: 0 success, or ended by SIGTERM; 1 failure, with a message;
2 wrong usage; 130 ended by Ctrl-C."""


# --- lab -----------------------------------------------------------------------------------------------------------


def lab(
    *rest: Annotated[str, Parameter(allow_leading_hyphen=True, show=False)],
    folder: Annotated[Path, Parameter(help="the folder for your copies of the notebooks")] = Path("my-notebooks"),
    url: Annotated[str | None, Parameter(help="a simulation to connect to, instead of a demo town")] = None,
) -> int:
    """Open JupyterLab on the first notebook, with a demo town.

    The notebooks are copied to a folder of yours, where they are never overwritten.
    All other arguments go to JupyterLab, for example --no-browser --port 9000.
    """
    try:
        from jupyterlab.labapp import LabApp
    except ImportError:
        raise Failure("JupyterLab is not installed here; install it with: pip install 'degentcivil-nb[lab]'") from None
    notebook = copy_notebooks(notebooks_folder(), folder)
    say(f"Opening {notebook}: choose Run › Run All Cells to start the town.")
    if url is not None:
        os.environ[URL_VARIABLE] = url  # the kernel inherits it
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        rest = (*rest, "--allow-root")  # as in a container, where root is the only user
    where = f"--LabApp.default_url=/lab/tree/{notebook.name}"  # also in the URL that it prints
    LabApp.launch_instance([str(notebook), where, *rest])
    return OK


def notebooks_folder() -> Path:
    """Return the folder of the notebooks that came with the package: inside it, or beside it in a checkout."""
    package = Path(__file__).parents[1]
    for folder in (package / "notebooks", package.parent / "notebooks"):
        if (folder / FIRST_NOTEBOOK).is_file():
            return folder
    raise Failure("this installation contains no notebooks; install degentcivil-nb again")


def copy_notebooks(source: Path, folder: Path) -> Path:
    """Copy the notebooks that `folder` lacks and return the path of the first; nothing is overwritten."""
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(source.glob("*.ipynb")):
        if not (folder / notebook.name).exists():
            shutil.copyfile(notebook, folder / notebook.name)
    return folder / FIRST_NOTEBOOK


# --- demo ----------------------------------------------------------------------------------------------------------


def demo(
    *,
    host: Annotated[
        str, Parameter(help="address to listen on; one that other machines can reach needs a token")
    ] = "127.0.0.1",
    port: Port = 8765,
    characters: Annotated[Positive, Parameter(help="how many")] = 12,
    tick: Annotated[Seconds, Parameter(help="seconds a tick")] = 0.1,
    seed: Annotated[int, Parameter(help="the same seed gives the same run")] = 0,
    paused: Annotated[Flag, Parameter(help="begin paused")] = False,
    make_token: Annotated[Flag, Parameter(help="require a new random token, and print it here")] = False,
    token_file: TokenFile = None,
) -> int:
    """Run a demo town to connect to.

    It runs until Ctrl-C or SIGTERM ends it.
    """
    from ..demo.local_server import start_local_server

    token = read_token(token_file)
    made_up = make_token and token is None
    if made_up:
        token = secrets.token_urlsafe(24)
    try:
        server = start_local_server(
            port, host=host, characters=characters, tick_s=tick, seed=seed, paused=paused, token=token
        )
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    with server:
        asks = f", token=os.environ[{TOKEN_VARIABLE!r}]" if token else ""
        with contextlib.suppress(Unread):  # the server works all the same
            say(f"A town of {characters:,} characters is at {server.url}")
            if made_up:
                say(f"Its token: {token}")
            say(f'In a notebook: dc.connect("{server.url}"{asks})')
            say("Ctrl-C ends it.")
        while True:
            time.sleep(3600)  # a signal ends it; an Event would not be woken by Ctrl-C on Windows


# --- tail ----------------------------------------------------------------------------------------------------------


def tail(
    url: Url,
    /,
    *,
    json: Annotated[Flag, Parameter(help="print each message as one line of JSON")] = False,
    types: Annotated[
        Sequence[str],
        Parameter(name="--type", negative="", show_default=False, help="only messages of this type (may be repeated)"),
    ] = (),
    history: History = 10,
    token_file: TokenFile = None,
) -> int:
    """Print messages as they come.

    Control characters are shown as escapes and have no effect.
    """
    from .tail import follow

    token = read_token(token_file)
    form: Literal["json", "text"] = "json" if json else "text"
    try:
        asyncio.run(follow(url, sys.stdout, sys.stderr, token=token, history=history, types=types, form=form))
    except ValueError as error:
        raise WrongUsage(str(error)) from None
    return OK


# --- the app -------------------------------------------------------------------------------------------------------

COMMANDS: Final[tuple[Callable[..., int], ...]] = (
    lab,
    demo,
    tail,
    record,
    replay,
    info,
    findings,
    compare,
    case,
    export,
    migrate,
)


def build_app() -> App:
    """Build the app; each command's signature declares its arguments."""
    app = App(
        name="degentcivil-nb",
        help="Debug a living town of LLM-driven characters.",
        help_epilogue=EXIT_CODES,
        help_format="plaintext",
        help_on_error=False,
        version=f"degentcivil-nb {__version__}",
    )
    for place, command in enumerate(COMMANDS):
        app.command(sort_key=place)(command)
    return app


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8
    try:
        return _run(sys.argv[1:] if argv is None else argv)
    except KeyboardInterrupt:
        return INTERRUPTED
    except Unread:
        return OK
    except (CycloptsError, WrongUsage) as error:
        return _complain(error, USAGE)
    except (Failure, OSError) as error:
        return _complain(error, FAILED)


def _run(argv: Sequence[str]) -> int:
    if not argv:
        raise WrongUsage("a command is required; degentcivil-nb --help lists them")
    app = build_app()
    command, bound, _ = app.parse_args(argv, exit_on_error=False, print_error=False)
    if command not in COMMANDS:  # --help or --version
        say(_page(app, command, bound))
        return OK
    if command is not lab:  # JupyterLab has handlers of its own
        signal.signal(signal.SIGTERM, _terminate)
    with warnings.catch_warnings():
        warnings.showwarning = _show_warning
        code: int = command(*bound.args, **bound.kwargs)
    return code


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    """Print a warning as a remark, without the line of code, which the user did not write."""
    for text in str(message).splitlines():
        remark(visible(text))


def _page(app: App, show: Callable[..., object], bound: BoundArguments) -> str:
    """Return the library's help page, in columns without frames; imported here, since it imports much of rich."""
    from cyclopts.help import DefaultFormatter, PanelSpec
    from rich.box import Box

    app.help_formatter = DefaultFormatter(panel_spec=PanelSpec(box=Box("    \n" * 8), padding=(0, 0, 0, 3)))
    with contextlib.redirect_stdout(io.StringIO()) as page:
        show(*bound.args, **bound.kwargs)
    return "\n".join(line.rstrip() for line in page.getvalue().rstrip().splitlines())


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(OK)  # unwinds every `with`, as Ctrl-C does


def _complain(error: Exception, code: int) -> int:
    remark(f"degentcivil-nb: {error}")
    return code
