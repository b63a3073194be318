"""`%load_ext degentcivil_nb`: the line magic `%dc`, its completion, and short tracebacks."""

from __future__ import annotations

import re
from typing import Any, Final

from .completion import candidates
from .desk import Desk
from .tracebacks import is_deliberate, shorten, stop_shortening

MAGIC: Final = "dc"
_QUESTION: Final = re.compile(r"^(\s*(?:[\w, ]+=\s*)?)%dc\s+(ask\s.*\?)\s*$")
"""A line that ends in a question mark, which IPython would take for a call for help."""


def load_ipython_extension(shell: Any) -> None:
    """Add `%dc` to a notebook; a second time changes nothing."""
    if getattr(shell, "_degentcivil_desk", None) is not None:
        return
    from IPython.core.error import UsageError
    from IPython.core.magic import no_var_expand

    shell._degentcivil_desk = desk = Desk(shell.user_ns)

    @no_var_expand  # braces belong to JSON
    def dc(line: str) -> Any:
        """Debug a town from the keyboard: `%dc help` lists the words."""
        try:
            return desk.run(line)
        except KeyboardInterrupt as interrupt:
            raise UsageError(f"interrupted: {interrupt}" if interrupt.args else "interrupted") from None
        except Exception as error:
            if not is_deliberate(error):
                raise
            raise UsageError(str(error.args[0]) if isinstance(error, KeyError) else str(error)) from None

    shell.register_magic_function(dc, "line", MAGIC)
    shell.Completer.custom_matchers.append(matcher(desk))
    shell.input_transformers_cleanup.append(protect_questions)
    shorten(shell)


def unload_ipython_extension(shell: Any) -> None:
    """Remove `%dc`."""
    if getattr(shell, "_degentcivil_desk", None) is None:
        return
    shell._degentcivil_desk = None
    shell.magics_manager.magics["line"].pop(MAGIC, None)
    shell.input_transformers_cleanup[:] = [
        each for each in shell.input_transformers_cleanup if each is not protect_questions
    ]
    shell.Completer.custom_matchers[:] = [
        each for each in shell.Completer.custom_matchers if getattr(each, "matcher_identifier", None) != MAGIC
    ]
    stop_shortening(shell)


def matcher(desk: Desk) -> Any:
    """Make IPython's source of completions for `%dc` lines, in which it is the only one that answers."""
    from IPython.core.completer import SimpleCompletion, context_matcher

    @context_matcher(identifier=MAGIC)  # type: ignore[untyped-decorator]
    def complete(context: Any) -> Any:
        found = candidates(desk, context.text_until_cursor)
        if found is None:
            return {"completions": []}
        texts = [SimpleCompletion(text, type="keyword") for text in found.texts]
        return {"completions": texts, "matched_fragment": found.piece, "suppress": True, "ordered": True}

    return complete


def protect_questions(lines: list[str]) -> list[str]:
    """Rewrite `%dc ask emma How are you?` as the function call that it means."""
    return [_QUESTION.sub(_as_call, line) for line in lines]


def _as_call(found: re.Match[str]) -> str:
    return f"{found[1]}get_ipython().run_line_magic({MAGIC!r}, {found[2]!r})\n"
