"""The line magic's words: one table, the functions that only a notebook needs, and the session that they are about."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any, Final

from ..analysis.finding_lines import lines_of
from ..core import lifetime
from ..core.escaping import visible, visible_lines
from ..core.names import did_you_mean
from ..expressions.command_line import parse_line, usage
from ..session.connecting import connect
from ..session.session import Session
from .word import Word

NAME: Final = "%dc"
"""The name of the session that `%dc connect` opens, so that the line can be run again."""
_WORD: Final = re.compile(r"\S+")
_TICK: Final = re.compile(r"tick\s+(\d+)")


class Desk:
    """The place where the lines of one notebook are run, for one session at a time.

    The session is the one that `%dc connect` or `%dc use` chose last, else the one in the variable `session`, else the
    one opened last in this process; closed sessions are skipped. `variables` are the notebook's variables, `say`
    prints.
    """

    def __init__(self, variables: MutableMapping[str, Any], say: Callable[[str], object] = print) -> None:
        self.variables = variables
        self.say = say
        self.words = {word.name: word for word in WORDS if word.function is not None}
        self._chosen: Session | None = None

    def sessions(self) -> list[Session]:
        """List the open sessions of this process, the one opened last first."""
        return lifetime.held(Session)[::-1]

    @property
    def session(self) -> Session:
        """Return the session that lines refer to; `ValueError` if none is open."""
        held = self.sessions()
        if not held:
            raise ValueError("there is no session yet: `%dc connect URL` opens one, and so does dc.connect(URL)")
        wanted = (self._chosen, self.variables.get("session"), held[0])
        return next(one for one in wanted if isinstance(one, Session) and one in held)

    def choose(self, session: Session) -> Session:
        """Choose the session of the next lines."""
        self._chosen = session
        return session

    def run(self, line: str) -> Any:
        """Run a line and return its value; `ValueError` says what is wrong with the line."""
        found = _WORD.match(line.strip())
        name = "status" if found is None else found.group()
        rest = "" if found is None else line.strip()[found.end() :]
        word = self.words.get(name)
        if word is None or word.function is None:
            return self._command(name, line)
        return word.function(self.session if isinstance(word.does, str) else self, **word.read(rest))

    def _command(self, name: str, line: str) -> Any:
        """Make the simulation run one of its own commands."""
        offered = self.offered()
        if name != "command" and name not in offered:
            hint = did_you_mean(name, [*self.words, *offered])
            raise ValueError(f"there is no word {name[:80]!r}{hint or '; `%dc help` lists them'}")
        command, arguments = parse_line(line, offered)
        return self.session.command(command, arguments=arguments)

    def offered(self) -> Mapping[str, Mapping[str, Any]]:
        """Return the simulation's own commands and the schemas of their arguments; none without a session."""
        if not self.sessions():
            return {}
        table = self.session.commands()
        return dict(zip(table["name"], table["arguments"], strict=True))


def _connect(desk: Desk, target: str, name: str = NAME, token: str | None = None) -> Session:
    """Connect to a URL, or to what a variable of the notebook holds; the session is also `session`."""
    session = desk.choose(connect(desk.variables.get(target, target), name=name, token=token))
    if not isinstance(before := desk.variables.get("session"), Session) and before is not None:
        desk.say("The variable `session` holds something else and is not changed; `session = %dc status` replaces it.")
    else:
        desk.variables["session"] = session
    return session


def _use(desk: Desk, name: str) -> Session:
    """Choose which of several open sessions the next lines refer to."""
    named = {session.name: session for session in desk.sessions()}
    if name not in named:
        known = ", ".join(map(visible, named)) or "none is open"
        raise ValueError(f"there is no open session {name!r:.80}; there are: {known}")
    return desk.choose(named[name])


def _status(desk: Desk) -> Session:
    """Show the state of the session and its run."""
    return desk.session


def _until(desk: Desk, condition: str) -> Any:
    """Let the run go on until a condition is met, or until `tick 40`, and stop there."""
    tick = _TICK.fullmatch(condition)
    return desk.session.run_until(condition if tick is None else None, tick=None if tick is None else int(tick[1]))


def _stopped(desk: Desk) -> Any:
    """Return why the run is stopped."""
    stop = desk.session.stopped()
    if stop is None:
        desk.say("The run goes on.")
    return stop


def _findings(desk: Desk, kind: str | None = None, since: str | None = None) -> None:
    """Say what is wrong in the run, each finding in a whole sentence; `session.findings()` is the table."""
    desk.say("\n".join(lines_of(desk.session.findings(kind, since=since))))


def _clear(desk: Desk, name: str | None = None) -> None:
    """Remove a breakpoint or a watch of this session, or all breakpoints."""
    points, watches = desk.session._breakpoints, desk.session._watches
    if name is not None and watches.has(str(name)):
        watches.remove(str(name))
        return
    if name is not None and not points.has(str(name)):
        raise ValueError(_why_not_cleared(desk, str(name)))
    for each in points.names() if name is None else [str(name)]:
        points.remove(each)


def _why_not_cleared(desk: Desk, name: str) -> str:
    points, watches = desk.session._breakpoints, desk.session._watches
    if (owner := points.other_owner(name) or watches.other_owner(name)) is not None:
        return f"{name!r:.80} is of {visible(owner)} and can be removed only in that notebook"
    hint = did_you_mean(name, [*points.names(), *watches.names()]) or "; `%dc breaks` lists them"
    return f"this session has no breakpoint or watch {name!r:.80}{hint}"


def _help(desk: Desk, word: str | None = None) -> None:
    """List the words, or show the whole help of one."""
    offered = _described(desk)
    if word is None:
        lines = [f"%dc {each.usage}\n    {each.doc}" for each in desk.words.values()]
        own = [text for name, text in offered.items() if name not in desk.words and name not in _BEHIND]
        desk.say(visible_lines("\n".join([*lines, *(f"%dc {_first_lines(text)}" for text in own)])))
    elif word in desk.words:
        desk.say(f"%dc {desk.words[word].usage}\n\n{inspect.getdoc(desk.words[word].function)}")
    elif word in offered:
        desk.say(visible_lines(f"%dc {offered[word]}"))
    else:
        known = [*desk.words, *offered]
        raise ValueError(
            f"there is no word {str(word)[:80]!r}{did_you_mean(str(word), known) or '; `%dc help` lists them'}"
        )


def _described(desk: Desk) -> dict[str, str]:
    """Return usage and documentation of each of the simulation's own commands."""
    if not desk.sessions():
        return {}
    table = desk.session.commands()
    rows = zip(table["name"], table["arguments"], table["doc"], strict=True)
    return {name: f"{usage(name, list(schema.get('properties', {})))}\n\n{doc}" for name, schema, doc in rows}


def _first_lines(text: str) -> str:
    """Return the usage and the first line of the documentation."""
    head, _, doc = text.partition("\n\n")
    return f"{head}\n    {doc.strip().partition(chr(10))[0]}"


WORDS: Final = (
    Word("connect", _connect),
    Word("use", _use),
    Word("status", _status),
    Word("pause", "pause"),
    Word("resume", "resume"),
    Word("continue", "resume"),
    Word("step", "step"),
    Word("until", _until, rest="condition"),
    Word("speed", "set_speed"),
    Word("stopped", _stopped),
    Word("break", "break_when", rest="condition"),
    Word("breaks", "breakpoints"),
    Word("clear", _clear),
    Word("matches", "matches", rest="condition"),
    Word("stops", "stops"),
    Word("watch", "watch", rest="expression"),
    Word("watches", "watches"),
    Word("inspect", "inspect"),
    Word("ask", "ask", rest="question"),
    Word("set", "set_attribute"),
    Word("inject", "inject_event"),
    Word("characters", "characters"),
    Word("findings", _findings),
    Word("why", "why"),
    Word("effects", "effects"),
    Word("take", "take_control"),
    Word("release", "release_control"),
    Word("help", _help),
)
"""All words. A word that names a method of `Session` is offered if sessions have that method."""
_BEHIND: Final = frozenset(
    {word.does for word in WORDS if isinstance(word.does, str)} | {"set_breakpoints", "set_watches"}
)
"""The server's commands that words call."""
