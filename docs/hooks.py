"""What the documentation takes from elsewhere when it is built: the notebooks' pictures, and the shell's help pages."""

from __future__ import annotations

import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.files import Files
    from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
PICTURES = "notebooks/images/"
"""Where the README and the pages show pictures from; in the built folder they are in `images/`."""
QUESTIONS = "how-to/questions.md"
"""The page whose headings are readers' questions."""
HELP = re.compile(r"^<!-- help:(.*?) -->$", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pictures."""
    from mkdocs.structure.files import File

    for picture in sorted((ROOT / PICTURES).iterdir()):
        files.append(File.generated(config, f"images/{picture.name}", abs_src_path=str(picture)))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Point pictures to where they are in the built folder, and put help pages where a mark asks for one.

    In the search, the page of questions goes before pages of the same words, and long lists of methods and the
    decisions go behind.
    """
    if page.file.src_uri == QUESTIONS:
        page.meta["search"] = {"boost": 2}
    elif re.search(r"^::: ", markdown, re.MULTILINE) or page.file.src_uri.startswith("decisions/"):
        page.meta["search"] = {"boost": 0.5}
    markdown = markdown.replace(f"../{PICTURES}", "images/")
    return HELP.sub(lambda mark: f"```text\n{help_page(mark[1])}\n```", markdown)


def help_page(command: str) -> str:
    """Return what `degentcivil-nb COMMAND --help` prints."""
    from degentcivil_nb.cli.app import main

    with redirect_stdout(StringIO()) as page:
        main([*command.split(), "--help"])
    return page.getvalue().rstrip()


def on_post_build(config: MkDocsConfig) -> None:
    """Check that the pages fetch nothing from elsewhere, so that they are whole without a network."""
    from mkdocs.exceptions import PluginError

    fetched = re.compile(r"""<(?:script|link|img|iframe)\b[^>]*\b(?:src|href)=["']?((?:https?:)?//[^"' >]+)""")
    for page in Path(config.site_dir).rglob("*.html"):
        if found := fetched.search(page.read_text(encoding="utf-8")):
            raise PluginError(f"{page.name} fetches {found[1]}, which is not there without a network")
