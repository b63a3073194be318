"""What is open is closed at exit, the last opened first; a forked child closes nothing."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref

import pytest

from degentcivil_nb.core import lifetime

PROGRAM = """
import logging, os, sys, warnings
from degentcivil_nb.core import lifetime
warnings.simplefilter("ignore", DeprecationWarning)  # from 3.12 on: a fork beside threads, of which there are none

class Thing:
    def __init__(self, name):
        self.name = name
        lifetime.register(self, close=type(self).close, inherited=type(self).give_up)
    def close(self):
        if lifetime.release(self):
            print("closed", self.name, flush=True)
    def give_up(self):
        print("given up", self.name, flush=True)

class Broken(Thing):
    def close(self):
        raise RuntimeError("no")
    def give_up(self):
        raise RuntimeError("no")

logging.basicConfig(format="%(message)s", stream=sys.stdout)
first, broken, closed, last = Thing("first"), Broken("broken"), Thing("closed"), Thing("last")
Thing("collected")
"""


class Thing:
    """Something that can be open."""

    def close(self) -> None:
        lifetime.release(self)


class Other:
    """Something of another kind."""

    def close(self) -> None:
        lifetime.release(self)


def lines_of(program: str) -> list[str]:
    """Run a program and give what it printed of things, without the lines of tracebacks."""
    ended = subprocess.run([sys.executable, "-c", PROGRAM + program], capture_output=True, text=True, timeout=60)
    assert (ended.returncode, ended.stderr) == (0, "")
    return [line for line in ended.stdout.splitlines() if line.startswith(("closed", "given", "a Broken"))]


def test_at_the_exit_the_last_that_was_opened_is_closed_first_and_an_error_of_one_is_logged() -> None:
    assert lines_of("closed.close(); closed.close()") == [
        "closed closed",
        "closed last",
        "a Broken did not close in order at exit",
        "closed first",
    ]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="cannot fork here")
def test_a_forked_child_gives_up_what_is_open_and_closes_none_of_it() -> None:
    program = """
child = os.fork()
if child == 0:
    last.close()
    sys.exit()
os.waitpid(child, 0)
os._exit(0)
"""
    assert lines_of(program) == [
        "given up first",
        "a Broken could not be released after a fork",
        "given up closed",
        "given up last",
    ]


def test_whoever_takes_a_name_closes_what_had_it_among_its_kind() -> None:
    first, other, second = Thing(), Other(), Thing()
    lifetime.register(first, close=Thing.close, name="town")
    lifetime.register(other, close=Other.close, name="town")
    lifetime.register(second, close=Thing.close, name="town")
    assert lifetime.held(Thing) == [second]
    lifetime.close_named(Thing, None)
    assert lifetime.held(Thing) == [second]
    lifetime.close_named(Thing, "town")
    assert lifetime.held(Thing) == []
    assert lifetime.held(Other) == [other]
    assert lifetime.release(other)


def test_what_was_released_is_not_released_again_and_nothing_is_kept_alive() -> None:
    first, second = Thing(), Thing()
    for thing in (first, second):
        lifetime.register(thing, close=type(thing).close, name="of two")
        assert lifetime.release(thing)
        assert not lifetime.release(thing)
    lifetime.register(first, close=type(first).close)
    gone = weakref.ref(first)
    del first, thing
    gc.collect()
    assert gone() is None
