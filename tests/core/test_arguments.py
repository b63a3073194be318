"""What a user passes is checked at the call and refused with one clear sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import degentcivil_nb as dc
from degentcivil_nb.core.arguments import path


@pytest.mark.parametrize("given", ["a", b"a", Path("a")], ids=repr)
def test_a_path_is_text_bytes_or_path_like(given: Any) -> None:
    assert path("folder", given) == "a"


@pytest.mark.parametrize("opens", [dc.open_recording, dc.open_runs, dc.start_replay])
def test_what_is_no_path_is_named_where_a_recording_is_opened(opens: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="must be a path, not 3"):
        opens(3)
    with pytest.raises(ValueError, match="not empty"):
        opens("")
    with pytest.raises(FileNotFoundError, match="open_runs opens a folder of recordings"):
        opens(tmp_path / "nowhere")
