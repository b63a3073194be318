"""A notebook of an older version debugs a run beside one of this version, which sets breakpoints that it cannot name.

    python -m tests.old_client.check PYTHON

`PYTHON` is that of the older version's environment (`.ci/nightly old_client` makes it).
"""

from __future__ import annotations

import subprocess
import sys

import degentcivil_nb as dc
from tests.support.stepped_town import SteppedTown
from tests.support.waiting import until

OLD = """
import sys, time, warnings
import degentcivil_nb as dc
warnings.simplefilter("error", UserWarning)

def said(*words):
    print(*words, flush=True)

def wait(done):
    end = time.monotonic() + 30
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"waited in vain: {session!r}")
        time.sleep(0.01)  # polls: the old client has no event to wait for

with dc.connect(sys.argv[1], name="old") as session:
    said("state", session.metrics()["run_state"])
    said("step", session.step(2), int(session.metrics()["tick"]))
    said("cut", session.step(10), int(session.metrics()["tick"]))  # by the breakpoint of the other notebook
    said("resume", session.resume())
    wait(lambda: session.metrics()["tick"] >= 9 and session.metrics()["run_state"] == "paused")  # it stopped once more
    row = session.inject_event("rain", {"mm": 3})
    said("inject", session.events("event_notification")["event_type"].tolist().count("rain"))
    try:
        session.step(1)  # the other has taken control meanwhile, when it is told to go on
        said("free")
        sys.stdin.readline()
        session.step(1)
    except Exception as error:
        said("refused", type(error).__name__, error)
    said("errors", len(session.errors()), "gaps", session.metrics()["gaps"], session.metrics()["connection"])
"""


def main() -> None:
    with (
        SteppedTown() as town,
        dc.connect(town.probe, name="new") as session,
        subprocess.Popen(
            [sys.argv[1], "-I", "-c", OLD, town.probe.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as old,
    ):
        assert old.stdin is not None and old.stdout is not None
        session.break_when("entered('MOVE')", name="move")  # in ticks 1, 5, 9 …
        session.watch("tick")
        told: list[str] = []
        for line in old.stdout:
            told.append(line.strip())
            print("old:", told[-1])
            if told[-1] == "free":
                session.take_control()
                old.stdin.write("\n")
                old.stdin.flush()
        print(session.stops().to_string())
        until(lambda: len(session.stops()) >= 3)
    if old.returncode or len(told) < 7 or not told[-1].endswith("live"):
        raise SystemExit(f"the older version ended with {old.returncode} and said {told}")


if __name__ == "__main__":
    main()
