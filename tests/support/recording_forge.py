"""Write recordings in child processes and kill them: `recording_forge.py FOLDER KILLS SEED`, a line of JSON a kill.

One process imports everything and forks a writer for each kill, which says through a pipe what it has committed.
Every few kills go into the same recording, so that going on after a kill is killed too.
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

from degentcivil_nb.recordings.recorder import Recorder
from tests.support.recording_helpers import EPOCH, message_at

ROUNDS = 4


def write_until_killed(folder: Path, pipe: int) -> None:
    recorder = Recorder(folder, segment_messages=300, commit_s=0.005)
    seq = recorder.position[1] if recorder.position else 0
    while True:
        recorder.put([message_at(seq + i) for i in range(1, 21)], time.time(), EPOCH)
        seq += 20
        committed = recorder.stats().committed
        if committed is not None:
            os.write(pipe, b"%d\n" % committed[1])
        time.sleep(0.001)  # the recorder's own thread commits meanwhile


def main() -> None:
    folder, kills, seed = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    randomness = random.Random(seed)
    for kill in range(kills):
        target = folder / f"run-{kill // ROUNDS}"
        reading, writing = os.pipe()
        child = os.fork()
        if not child:
            os.close(reading)
            try:
                write_until_killed(target, writing)
            except BaseException as error:  # noqa: BLE001 — whatever it is, the fork must not run on as the parent
                os.write(2, f"the writer failed: {error!r}\n".encode())
            os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as told:
            # by what it has done and not by the clock: a slow machine must not always kill before anything is written
            said = [told.readline() for _ in range(randomness.choice((0, 1, randomness.randint(2, 60))))]
            time.sleep(randomness.uniform(0.0, 0.02))  # anywhere between two of them, or before the first
            os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
            said += told
        committed = max((int(line) for line in said if line.endswith(b"\n")), default=0)
        died = os.WIFSIGNALED(status)
        print(json.dumps({"folder": str(target), "committed": committed, "killed": died}), flush=True)
        input()  # until the test has looked


if __name__ == "__main__":
    main()
