"""Every way in which a dashboard can be cut off is shown on it, also by its buttons."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.end_to_end.conftest import OpenNotebook
from tests.end_to_end.lab import Notebook

pytestmark = pytest.mark.browser

TOWN = """
import degentcivil_nb as dc
server = dc.start_local_server(seed=3)
session = dc.connect(server)
session.dashboard()
"""
HEAD_ALONE = """
from degentcivil_nb.widgets.headline import Headline
from degentcivil_nb.widgets.panel import Panel
send = Panel.send
def send_the_head(panel, content, buffers=None):
    if content.get("kind") != "update" or isinstance(panel, Headline):
        send(panel, content, buffers)
Panel.send = send_the_head
"""
"""The kernel goes before the first data of the other panels came: so it was once on a busy machine."""
LONELY = """
import subprocess, sys, os, time
import degentcivil_nb as dc
# the town lives until it is killed
code = "import degentcivil_nb as dc, time; s = dc.start_local_server(seed=3); print(s.url, flush=True); time.sleep(600)"
town = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
session = dc.connect(town.stdout.readline().strip())
session.dashboard()
"""
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
CUT = f"""() => {{
    const settings = {KERNEL}.serverSettings;
    window.whole = settings.WebSocket;
    settings.WebSocket = class extends window.whole {{ constructor(_, more) {{ super("ws://127.0.0.1:9/", more); }} }};
    {KERNEL}._ws.close();
}}"""
"""Cuts the page's line to the kernel, and has every attempt to connect again fail."""
MEND = f"() => {{ {KERNEL}.serverSettings.WebSocket = window.whole; }}"
LATEST_MS = 8_000
"""The kernel's death is known to JupyterLab after 3 to 7 s, silence counts from 5 s on."""
BUTTONS = ("pause", "step", "resume")


def open_town(notebook: OpenNotebook, *cells: str, setup: str = TOWN) -> Notebook:
    book = notebook(setup, *cells, height=2200)
    book.run(0)
    expect(head(book.page, "link")).to_have_text("live", timeout=20_000)
    expect(head(book.page, "run")).to_have_text("running")
    expect(book.page.locator("button.dc-pause")).to_be_enabled()
    expect(book.page.locator(".dc-standing:visible")).to_have_count(0)
    return book


def head(page: Page, name: str) -> Locator:
    return page.locator(f".dc-headline .dc-{name} .dc-value")


def is_said(
    book: Notebook, what: str, link: str, todo: str, name: str, themes: tuple[str, ...] = ("Dark", "Light")
) -> None:
    """Check the sentence, the head line, and every button; keep pictures in both themes."""
    page = book.page
    banner = page.locator(".dc-standing:visible")
    expect(banner).to_have_count(1, timeout=LATEST_MS)  # once a page, not once a panel
    expect(banner).to_contain_text(what, timeout=LATEST_MS)
    expect(banner).to_contain_text("What is shown is as of")
    expect(banner).to_contain_text(todo)
    expect(head(page, "link")).to_contain_text(link)
    expect(head(page, "run")).to_have_text("was running")
    expect(head(page, "rate")).to_have_text("–")
    for button in BUTTONS:
        expect(page.locator(f"button.dc-{button}")).to_be_disabled()
    for theme in themes:
        book.theme(f"JupyterLab {theme}")
        page.wait_for_timeout(200)  # for the picture
        book.picture(f"honest_{name}_{theme.lower()}")
    page.get_by_role("tab", name="town").click()
    expect(page.locator(".dc-grid:visible .dc-body .dc-row").first).to_be_visible()
    page.locator(".dc-filter:visible").fill("move")  # what needs no kernel goes on working


def restart(book: Notebook) -> None:
    book.page.evaluate(f"() => {{ {KERNEL}.restart(); }}")


def shut_down(book: Notebook) -> None:
    book.page.evaluate("() => { window.jupyterapp.shell.currentWidget.sessionContext.shutdown(); }")


def kill(book: Notebook) -> None:
    book.start(1)
    book.page.locator(".jp-Dialog button").last.click(timeout=LATEST_MS)  # JupyterLab says it too, over the page


@pytest.mark.parametrize(
    ("end", "cell", "what", "link"),
    [
        pytest.param(restart, "", "The kernel was restarted", "no kernel", id="restarted"),
        pytest.param(shut_down, "", "The kernel was shut down or died", "no kernel", id="shut down"),
        pytest.param(
            kill,
            "import os; os.kill(os.getpid(), 9)",
            "The kernel died and was started again",
            "no kernel",
            id="killed",
        ),
    ],
)
def test_a_kernel_that_is_gone_is_said(
    notebook: OpenNotebook, end: Callable[[Notebook], None], cell: str, what: str, link: str
) -> None:
    book = open_town(notebook, cell)
    end(book)
    is_said(book, what, link, "run the cells again" if "shut" in what else "Run the cells again", what[11:20].strip())
    page = book.page
    page.locator("button.dc-pause").evaluate("button => button.click()")
    page.get_by_role("tab", name="connection").click()
    expect(page.locator("button.dc-reconnect:enabled")).to_have_count(0)
    expect(page.locator(".dc-lacking:visible")).to_contain_text("there is nothing to show")
    expect(page.locator(".dc-standing:visible")).to_have_count(1)
    page.get_by_role("tab", name="console").click()
    expect(page.locator(".dc-line input:enabled")).to_have_count(0)
    page.wait_for_timeout(500)  # a problem would come by then
    # the page may read a last message of the dying kernel wrongly: JupyterLab's own
    problems = [problem for problem in book.problems if not problem.startswith("Kernel message validation error")]
    assert problems == [], "nothing that cannot be sent is thrown into the page"


def test_a_kernel_that_is_gone_is_said_once_also_where_panels_had_no_data_yet(notebook: OpenNotebook) -> None:
    book = open_town(notebook, setup=HEAD_ALONE + TOWN)
    restart(book)
    page = book.page
    expect(page.locator(".dc-standing:visible")).to_contain_text("The kernel was restarted", timeout=LATEST_MS)
    expect(page.locator(".dc-standing:visible")).to_have_count(1)
    expect(page.locator(".dc-lacking:visible").first).to_have_text(
        "Nothing of this panel had arrived before that, so there is nothing to show."
    )
    assert book.problems == []


def test_a_command_under_way_when_the_kernel_dies_is_not_said_to_be_queued(notebook: OpenNotebook) -> None:
    book = open_town(notebook, "import os, signal; os.kill(os.getpid(), signal.SIGSTOP)")
    book.start(1)
    page = book.page
    page.wait_for_timeout(500)  # the kernel is stopped by then, and cannot say so
    page.locator("button.dc-pause").click()
    expect(page.locator(".dc-feedback")).to_contain_text("queued")
    expect(page.locator(".dc-standing:visible")).to_contain_text(
        "Nothing has arrived from the kernel", timeout=LATEST_MS
    )
    expect(head(page, "run")).to_have_text("was running")
    expect(head(page, "link")).to_have_text("silent")
    book.picture("honest_silent")
    restart(book)
    expect(page.locator(".dc-standing:visible")).to_contain_text("was restarted", timeout=LATEST_MS)
    expect(page.locator(".dc-feedback")).to_contain_text("unknown whether the command was run")
    assert book.problems == []


def test_silence_that_ends_is_said_no_longer(notebook: OpenNotebook) -> None:
    nap = "import os, signal, subprocess\np = os.getpid()\nsubprocess.Popen(['sh', '-c', f'sleep 8; kill -CONT {p}'])\n"
    book = open_town(notebook, nap + "os.kill(p, signal.SIGSTOP)")
    book.start(1)
    page = book.page
    expect(page.locator(".dc-standing:visible")).to_contain_text(
        "Nothing has arrived from the kernel", timeout=LATEST_MS
    )
    expect(page.locator(".dc-standing:visible")).to_have_count(0, timeout=20_000)
    expect(head(page, "run")).to_have_text("running", timeout=10_000)
    seen = head(page, "tick").inner_text()
    expect(head(page, "tick")).not_to_have_text(seen)
    expect(page.locator("button.dc-pause")).to_be_enabled()
    assert book.problems == []


def test_a_line_that_is_cut_is_said_until_it_is_back(notebook: OpenNotebook) -> None:
    book = open_town(notebook)
    page = book.page
    page.evaluate(CUT)
    is_said(book, "The page has lost its connection to the kernel", "cut off", "connects again by itself", "cut", ())
    page.evaluate(MEND)
    expect(page.locator(".dc-standing:visible")).to_have_count(0, timeout=60_000)
    expect(head(page, "run")).to_have_text("running", timeout=10_000)
    assert book.problems == []


def test_a_closed_session_is_said_on_every_tab_also_on_one_that_is_opened_afterwards(notebook: OpenNotebook) -> None:
    book = open_town(notebook, "session.close()")
    book.run(1)
    page = book.page
    is_said(book, "This session is closed", "closed", "dc.connect(…) follows the run again.", "closed")
    page.get_by_role("tab", name="events").click()
    expect(page.locator(".dc-grid:visible .dc-body .dc-row").first).to_be_visible()
    page.get_by_role("tab", name="connection").click()
    expect(page.locator("button.dc-reconnect")).to_be_disabled()
    expect(page.locator(".dc-health:visible")).to_contain_text("the connection is closed")
    page.get_by_role("tab", name="console").click()
    expect(page.locator(".dc-line input")).to_be_disabled()
    page.wait_for_timeout(7_000)  # it is not taken for a kernel that is gone
    expect(page.locator(".dc-standing:visible")).to_contain_text("This session is closed")
    assert book.problems == []


def test_a_server_that_is_gone_is_said_and_reconnect_can_be_pressed(notebook: OpenNotebook) -> None:
    book = open_town(notebook, "town.kill(); town.wait()", "session.panel.events()", setup=LONELY)
    book.run(1)
    is_said(book, "There is no connection to ws://", "reconnecting", "session.reconnect() tries now", "gone")
    page = book.page
    page.get_by_role("tab", name="connection").click()
    expect(page.locator("button.dc-reconnect")).to_be_enabled()
    book.run(2)  # a panel alone says it too
    expect(page.locator(".dc-standing:visible")).to_have_count(2)
    assert book.problems == []


def test_a_panel_closed_in_python_leaves_the_page(notebook: OpenNotebook) -> None:
    book = open_town(notebook, "from IPython.display import clear_output\ndash = _\ndash.close()")
    book.run(1)
    expect(book.page.locator(".dc-panel:visible")).to_have_count(0, timeout=LATEST_MS)
    assert book.problems == []


def test_what_came_of_a_command_is_dated_and_goes(notebook: OpenNotebook) -> None:
    book = open_town(notebook)
    page = book.page
    page.locator("button.dc-pause").click()
    feedback = page.locator(".dc-feedback")
    expect(feedback).to_have_text(re.compile(r"pause: paused at tick \d+, at \d\d:\d\d:\d\d"))
    expect(feedback).to_have_text("", timeout=20_000)
    assert book.problems == []


def test_a_run_that_a_breakpoint_stopped_says_so_and_nothing_older(notebook: OpenNotebook) -> None:
    stop = "stop = session.break_when(\"entered('MOVE')\", name='on the move')"
    book = open_town(notebook, f"session.pause(); {stop}", "stop.remove()")
    page = book.page
    book.run(1)
    page.locator("button.dc-resume").click()
    state = page.locator(".dc-run .dc-value")
    expect(state).to_contain_text("paused at breakpoint on the move by ")
    expect(page.locator(".dc-feedback")).not_to_contain_text("resume: running")
    book.run(2)
    page.locator("button.dc-step").click()
    expect(state).to_have_text("paused")
    assert book.problems == []


WORDS = """
import time
import degentcivil_nb as dc
from degentcivil_nb.simulation import SimulationProbe
probe = SimulationProbe(port=0)
session = dc.connect(probe.url)
big = 9_007_199_254_740_993
for i, name in enumerate(("constructor", "__proto__", "toString", "emma")):
    probe.character_update(name, money=big + i, **{"constructor": "a", "__proto__": "b", "toString": i, "valueOf": -5})
    for state in ("MOVE", "hasOwnProperty"):
        probe.state_change(name, state, location="valueOf")
time.sleep(2)  # they are stays of two seconds
probe.state_change("emma", "IDLE")  # or all that came would be of one moment, and its bars without width
probe.flush()
session.dashboard()
"""
LANES = ("constructor", "__proto__", "toString", "emma")
LANE_PX = 20
WIDE_LANES = f"""(() => {{
    const canvas = [...document.querySelectorAll('.dc-lanes canvas')].find((each) => each.clientWidth > 0);
    if (!canvas || !canvas.width) return 0;
    const scale = canvas.width / canvas.clientWidth;
    const wide = (lane) => {{  // a bar of one colour just below its upper edge, where no text is
        const y = Math.round((lane * {LANE_PX} + 4) * scale);
        const left = Math.round(140 * scale);  // right of the names
        if (y >= canvas.height) return false;
        const row = new Uint32Array(canvas.getContext('2d').getImageData(left, y, canvas.width - left, 1).data.buffer);
        let run = 0;
        return row.some((colour, i) => {{
            run = colour !== 0 && colour === row[i - 1] ? run + 1 : 0;
            return run > 20 * scale;
        }});
    }};
    return [0, 1, 2, 3, 4, 5].filter(wide).length;
}})()"""
"""How many lanes of the timeline have a bar with a width."""


def test_words_of_javascript_are_words_and_large_whole_numbers_are_exact(notebook: OpenNotebook) -> None:
    book = notebook(WORDS, height=1600, width=2000)
    book.run(0)
    page = book.page
    row = page.locator(".dc-grid:visible .dc-body .dc-row:not([hidden])")
    expect(row).to_have_count(4, timeout=20_000)
    for word in ("constructor", "__proto__", "toString", "valueOf"):
        expect(page.locator(".dc-sort:visible", has_text=re.compile(f"^{word}$"))).to_have_count(1)
    expect(row.filter(has_text="emma")).to_contain_text("9,007,199,254,740,996")
    expect(row.first).to_contain_text("9,007,199,254,740,993")
    book.picture("honest_words")
    for sought in ("9007199254740993", "9,007,199,254,740,993"):
        page.locator(".dc-filter:visible").fill(sought)
        expect(row).to_have_count(1)
    page.locator(".dc-filter:visible").fill("")
    page.locator(".dc-sort:visible", has_text="money").click()
    page.locator(".dc-sort:visible", has_text="money").click()
    expect(page.locator(".dc-grid:visible .dc-row[aria-rowindex='2']")).to_contain_text("emma")
    text = page.evaluate(
        """() => { const grid = document.querySelector('.dc-grid'); grid.focus();
        grid.dispatchEvent(new KeyboardEvent('keydown', {key: 'a', ctrlKey: true, bubbles: true}));
        const data = new DataTransfer();
        grid.dispatchEvent(new ClipboardEvent('copy', {clipboardData: data, bubbles: true}));
        return data.getData('text/plain'); }"""
    )
    assert "\t9007199254740996\t" in text
    assert "'-5" not in text
    page.get_by_role("tab", name="timeline").click()
    page.wait_for_function(f"({WIDE_LANES}) > 0", timeout=40_000)
    assert page.evaluate(WIDE_LANES) == 4
    expect(page.locator(".dc-legend:visible")).to_contain_text("hasOwnProperty")
    lanes = page.locator(".dc-lanes:visible")
    lanes.scroll_into_view_if_needed()
    box = lanes.bounding_box()
    assert box
    tip = page.locator(".dc-tip:visible")
    clock = r"\d\d:\d\d:\d\d\.\d+"
    for lane, (name, until) in enumerate(
        [(name, "still going on") for name in LANES[:3]] + [(LANES[3], f"to {clock}")]
    ):
        page.mouse.move(box["x"] + box["width"] / 2, box["y"] + (lane + 0.5) * LANE_PX, steps=3)
        expect(tip).to_have_text(
            re.compile(rf"^{name}: hasOwnProperty in valueOf from {clock} {until} \([^)]*\)"), timeout=10_000
        )
        assert "NaN" not in (tip.text_content() or "")
    assert book.problems == []
