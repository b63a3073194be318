"""The picture of the README, taken from the real thing: `python -m tests.end_to_end.pictures`.

A demo town, JupyterLab and Chromium make the short `notebooks/images/time_bar.webp`, which begins with the dashboard;
then the cursor is dragged over a run and a breakpoint stops it. Pillow joins the frames, in an environment of its own.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from tests.end_to_end.lab import Notebook, find_chromium, open_notebook, running_browser, running_jupyter
from tests.support.paths import ROOT

IMAGES: Final = ROOT / "notebooks" / "images"
CELLS: Final = (
    "import degentcivil_nb as dc\n"
    "server = dc.start_local_server(characters=24, seed=3, tick_s=0.1, paused=True)\n"
    "session = dc.connect(server, name='town')\nsession.step(240);",
    "session.dashboard()",
    *(f"session.at(tick={tick});" for tick in (30, 60, 90, 120, 150, 180, 210)),
    "session.back_to_live()",
    "session.break_when(\"new_state == 'BARGAIN'\", name='a bargain', once=True); session.resume()\n"
    "session.wait_for('state_change', where=\"new_state == 'BARGAIN'\", after=session.events().index[-1], timeout=60);",
)
JOIN: Final = """
import sys
from PIL import Image
*frames, out = sys.argv[1:]
first, *rest = [Image.open(frame).convert("RGB") for frame in frames]
lengths = [1200, *[450] * (len(rest) - 2), 1200, 2500][: len(frames)]
first.save(out, save_all=True, append_images=rest, duration=lengths, loop=0, quality=72, method=6)
"""


def frame(book: Notebook, path: Path, height: int) -> None:
    """Take the dashboard alone, from its head line down."""
    box = book.page.locator(".jp-OutputArea-child:has(.dc-panel)").first.bounding_box()
    if box is None:
        raise RuntimeError("the dashboard is not in the page")
    clip = {"x": box["x"], "y": box["y"], "width": box["width"], "height": min(height, box["height"])}
    book.page.screenshot(path=path, clip=clip)  # type: ignore[arg-type]  # four floats, as it wants


def main() -> None:
    """Take the picture."""
    chromium = find_chromium()
    if chromium is None:
        sys.exit("no Chromium: name one in the environment variable CHROMIUM")
    with tempfile.TemporaryDirectory() as home, running_browser(chromium) as browser:
        folders = [Path(home) / name for name in ("home", "root")]
        for folder in folders:
            folder.mkdir()
        with running_jupyter(*folders) as jupyter:
            book = open_notebook(jupyter, browser, *CELLS, width=1600, height=2200)
            frames = []
            for cell in range(len(CELLS)):
                book.run(cell)
                book.page.wait_for_timeout(6_000 if cell == 1 else 1_500)  # until it is drawn, for the eye
                if cell:
                    frames.append(Path(home) / f"{cell:02}.png")
                    frame(book, frames[-1], 820)
            book.close()
            join = ("-m", "uv", "run", "-q", "--no-project", "--with", "pillow", "python", "-c", JOIN)
            subprocess.run([sys.executable, *join, *map(str, frames), str(IMAGES / "time_bar.webp")], check=True)
    for picture in sorted(IMAGES.iterdir()):
        print(f"{picture.name}: {picture.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
