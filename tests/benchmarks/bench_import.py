"""How long `import degentcivil_nb` takes, beside `import pandas` in the same run.

    python tests/benchmarks/bench_import.py [--runs 15] [--json FILE]

Each import is a process of its own, in turn, so that both see the same machine; the least time counts. `dc.connect`
stands for what a notebook's first cell really needs: its names are imported when first used.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

STATEMENTS = {
    "limit: nothing": "pass",
    "peer: import pandas": "import pandas",
    "ours: import degentcivil_nb": "import degentcivil_nb",
    "ours: import degentcivil_nb as dc; dc.connect": "import degentcivil_nb as dc; dc.connect",
}
TARGET = 1.3
"""How many times `import pandas` the import may take."""


def measure(statement: str) -> float:
    """Give the seconds that a statement takes in a fresh interpreter, without the interpreter's own start."""
    code = f"import time; start = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=15, help="of each statement")
    parser.add_argument("--json", type=Path, help="write the table there too")
    arguments = parser.parse_args()
    least = dict.fromkeys(STATEMENTS, float("inf"))
    for _ in range(arguments.runs):
        for name, statement in STATEMENTS.items():
            least[name] = min(least[name], measure(statement))
    pandas = least["peer: import pandas"]
    rows = [{"what": name, "ms": 1000 * seconds, "ratio": seconds / pandas} for name, seconds in least.items()]
    print(f"{'what':<48} {'ms':>8} {'× import pandas':>16}")
    for row in rows:
        print(f"{row['what']:<48} {row['ms']:8.1f} {row['ratio']:16.2f}")
    print(f"target: at most {TARGET} × import pandas")
    if arguments.json:
        arguments.json.write_text(json.dumps({"rows": rows, "target": TARGET}, indent=2))


if __name__ == "__main__":
    main()
