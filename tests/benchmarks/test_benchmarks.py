"""The programs that measure the server work, at a small size; a time is never judged here."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.benchmarks import programs
from tests.benchmarks.report import Row, at_least, at_most, markdown, table
from tests.support.paths import ROOT


def measured(program: str, out: Path, *options: str) -> list[dict[str, Any]]:
    command = [sys.executable, "-m", f"tests.benchmarks.{program}", *options, "--out", str(out)]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
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
    assert [row.peer_is for row in programs.fanout(rows)] == ["broadcast()", "gather(send)", ""]


@pytest.mark.parametrize("clients", [3])
def test_what_a_publish_costs_the_simulation(tmp_path: Path, clients: int) -> None:
    rows = measured("bench_publish", tmp_path / "out.json", "--clients", str(clients), "--messages", "100")
    assert {(row["way"], row["clients"]) for row in rows} == {
        (way, count) for way in ("encode and append", "call_soon_threadsafe", "ours") for count in (0, clients)
    }
    assert all(0 < row["p50_us"] <= row["p99_us"] for row in rows)
    judged = [row.target for row in programs.publish(rows) if row.target is not None]
    assert len(judged) == 2 * 3  # bursts and evenly: p50 without clients, p50 and p99 with them


def test_a_simulation_that_keeps_up_loses_nothing_of_its_session(tmp_path: Path) -> None:
    missing, _, stored = measured("bench_keep_up", tmp_path / "out.json", "--events", "3000")
    assert (missing["ours"], stored["ours"]) == (0, 3000)


def test_where_the_time_of_a_recorder_goes(tmp_path: Path) -> None:
    rows = measured("bench_recorder", tmp_path / "out.json", "--events", "3000")
    assert [row["what"] for row in rows][0::8] == ["received: packed for the queue", "all of the recorder"]
    assert rows[-1]["ours"] > 0


def test_one_checkout_beside_another_here_itself(tmp_path: Path) -> None:
    size = (
        "--pairs",
        "1",
        "--events",
        "300",
        "--burst",
        "20",
        "--clients",
        "2",
        "--only",
        "storing",
        "client",
        "publish",
    )
    rows = measured("bench_beside", tmp_path / "out.json", "--old", str(ROOT), *size)
    assert len([row for row in rows if row.get("target")]) == 3 + 2 + 5 + 3
    assert all(row["ours"] > 0 for row in rows)


def test_what_breakpoints_cost_the_simulation(tmp_path: Path) -> None:
    size = ("--characters", "20", "--breakpoints", "12", "--events", "100", "--rounds", "1")
    rows = programs.breakpoints(measured("bench_breakpoints", tmp_path / "out.json", *size))
    assert [row.what for row in rows if row.target is not None] == [
        "… of that the breakpoints, in a burst",
        "… of that the breakpoints, at 10,000/s",
        "an evaluation",
    ]


def test_all_of_the_notebooks_side_in_one_table(tmp_path: Path) -> None:
    names = ["client", "store", "recording", "recorded", "kernel", "findings", "import"]
    out, readme = tmp_path / "out.json", tmp_path / "readme.md"
    readme.write_text("before\n<!-- benchmarks: so -->\nold\n<!-- /benchmarks -->\nafter\n")
    command = [sys.executable, "-m", "tests.benchmarks", "--small", "--out", str(out), "--only"]
    ran = subprocess.run([*command, *names], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(out.read_text())["programs"]
    assert list(found) == names
    rows = [row for name in names for row in found[name]["rows"]]
    assert all(row["ours"] >= 0 for row in rows)
    assert len(ran.stdout.splitlines()) == len(rows) + 1
    lost = next(row for row in rows if row["what"] == "… published, neither held nor declared")
    assert lost["ours"] == 0
    again = subprocess.run([*command, "--markdown", str(readme)], cwd=ROOT, capture_output=True, text=True, check=False)
    assert again.returncode == 0, again.stderr
    assert again.stdout == ran.stdout  # nothing ran, and the figures were kept
    lines = readme.read_text().splitlines()
    assert lines[0] == "before"
    assert lines[-1] == "after"
    assert "old" not in lines
    assert any(line.startswith("| recording while ingesting |") for line in lines)


def test_a_target_is_reached_by_a_value_or_by_a_ratio() -> None:
    faster = Row("a", "/s", 300.0, 100.0, "peer", 400.0, "limit", at_least(2.5, "peer"))
    assert (faster.ratio, faster.reached) == (3.0, True)
    short_of = Row("b", "/s", 300.0, None, "", 400.0, "limit", at_least(0.8, "limit"))
    assert (short_of.ratio, short_of.reached) == (0.75, False)
    quick = Row("c", "ms", 0.5, 5.0, "peer", target=at_most(1))
    assert (quick.ratio, quick.reached) == (0.1, True)
    alone = Row("d", "/s", 7.0, target=at_least(1.9, "peer"))  # its peer is not installed
    assert (alone.ratio, alone.reached) == (None, False)
    assert Row("e", "ms", 1.0).reached is None
    assert markdown([faster, short_of, Row("e", "ms", 1.0)]).splitlines()[2:] == [
        "| a | 300 /s | 100, peer | 3 | ratio ≥ 2.5 | yes |",
        "| b | 300 /s | 400, limit | 0.75 | ratio ≥ 0.8 | **no** |",
    ]
    assert table([short_of]).splitlines()[1].split()[-1] == "NO"
