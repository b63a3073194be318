"""Files appear whole or not at all, and errors name the file that was asked for."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from degentcivil_nb.core.whole_file import written_whole


def test_what_is_written_replaces_the_file_at_the_end(tmp_path: Path) -> None:
    target = tmp_path / "page.html"
    target.write_text("old")
    with written_whole(target) as beside:
        beside.write_text("new")
        assert target.read_text() == "old"
    assert target.read_text() == "new"
    assert list(tmp_path.iterdir()) == [target]


def test_what_is_interrupted_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), written_whole(tmp_path / "page.html") as beside:
        beside.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("folder", ["nowhere", "file"])
def test_a_folder_that_is_not_there_is_named(tmp_path: Path, folder: str) -> None:
    (tmp_path / "file").touch()
    with (
        pytest.raises(OSError, match=f"there is no folder .*{folder}; create it first"),
        written_whole(tmp_path / folder / "page.html") as beside,
    ):
        beside.write_text("new")


def test_a_full_disk_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OSError, match=r"No space.*page\.html"), written_whole(tmp_path / "page.html"):
        raise OSError(errno.ENOSPC, "No space left on device")


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    (tmp_path / "page.html").mkdir()
    (tmp_path / "page.html" / "inside").touch()
    with pytest.raises(OSError, match=r"page\.html") as caught, written_whole(tmp_path / "page.html") as beside:
        beside.write_text("new")
    assert ".part" not in str(caught.value)
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]
