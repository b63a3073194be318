"""What was committed survives `kill -9` at any moment, also while a recording is being gone on with."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT, SUPPORT
from tests.support.recording_helpers import message_at, read_back
from tests.support.sizes import examples

KILLS = examples(20)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="kills want fork")
def test_every_committed_event_survives_a_kill(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(SUPPORT / "recording_forge.py"), str(tmp_path), str(KILLS), "1"]
    survived = 0
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as forge:
        assert forge.stdin is not None
        assert forge.stdout is not None
        for _ in range(KILLS):
            said = json.loads(forge.stdout.readline())
            assert said["killed"]
            try:
                messages, held = read_back(Path(said["folder"]))
            except FileNotFoundError:  # killed before there was anything
                assert said["committed"] == 0
            else:
                last = messages[-1].seq or 0 if messages else 0
                assert last >= said["committed"]
                assert messages == [message_at(seq) for seq in range(1, last + 1)]
                assert held.problems
                survived += last
            forge.stdin.write("\n")
            forge.stdin.flush()
    assert forge.returncode == 0
    assert survived > 0
