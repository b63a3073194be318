"""The programs that measure the server work, at a small size; a time is never judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent


def measured(program: str, out: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", *options, "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100, check=False)
    assert ran.returncode == 0, ran.stderr
    rows: list[dict[str, Any]] = json.loads(out.read_text())
    assert len(ran.stdout.splitlines()) == len(rows) + 1  # the table that it prints
    return rows


def test_fan_out_beside_its_peers_with_stalled_clients_and_both_ways_of_compression(tmp_path: Path) -> None:
    size = ("--clients", "5", "--rate", "200", "--seconds", "0.5", "--stalled", "1", "--compression")
    rows = measured("bench_fanout", tmp_path / "out.json", *size)
    assert [(row["kind"], row["stalled"]) for row in rows] == [
        ("ours", 0),
        ("ours", 1),
        ("broadcast", 0),
        ("gather", 0),
        ("broadcast of 100", 0),
        ("ours, deflate", 0),
    ]
    assert [(row["lost"], row["in_order"]) for row in rows] == [(0, True)] * 6
    assert rows[-1]["wire_mb"] < rows[0]["wire_mb"]


@pytest.mark.parametrize("clients", [3])
def test_what_a_publish_costs_the_simulation(tmp_path: Path, clients: int) -> None:
    rows = measured("bench_publish", tmp_path / "out.json", "--clients", str(clients), "--messages", "100")
    assert {(row["way"], row["clients"]) for row in rows} == {
        (way, count) for way in ("encode and append", "call_soon_threadsafe", "ours") for count in (0, clients)
    }
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in rows)
