"""A kernel that ends sends whole messages, also large ones, such as the last static view of a dashboard."""

from __future__ import annotations

from queue import Empty

from tests.support.kernels import PATIENCE_S, running_kernel

LARGE = 200_000
CELL = f"""
import atexit
from IPython.display import publish_display_data

def end():
    for text in ("<" + "x" * {LARGE}, "the last one"):
        publish_display_data({{"text/plain": text}})

atexit.register(end)  # the handlers that are registered last run first
from degentcivil_nb.widgets import page_widget
publish_display_data({{"text/plain": "y" * {LARGE}}})
"""


def test_a_large_message_at_the_end_of_a_kernel_arrives_whole() -> None:
    with running_kernel() as kernel:
        assert kernel.run(CELL).status == "ok"
        kernel.client.shutdown()
        shown: list[str] = []
        while not shown or shown[-1] != "the last one":
            try:
                message = kernel.client.get_iopub_msg(timeout=PATIENCE_S)
            except Empty:
                break
            if message["msg_type"] == "display_data":
                shown.append(message["content"]["data"]["text/plain"])
        assert [len(text) for text in shown] == [LARGE + 1, len("the last one")]
