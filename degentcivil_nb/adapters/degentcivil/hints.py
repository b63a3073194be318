"""Advice for a program that ends before its town exists: the published tree lacks files and names."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from ...core.escaping import visible

HOW_TO: Final = "docs/how-to/degentcivil.md, 'The published tree does not start'"
_PACKAGES: Final = {
    "autogen": "'pyautogen==0.2.15' 'openai<1.60' 'httpx<0.28'",
    "yaml": "pyyaml",
    "dotenv": "python-dotenv",
    "PIL": "pillow",
    "cv2": "opencv-python",
    "sklearn": "scikit-learn",
    "langchain_openai": "langchain-openai",
}
"""Packages whose name for installation differs from the name for import."""
_UNDEFINED: Final = (
    "EQUIPSPLITER",
    "RESOURCE_SEPARATOR",
    "update_date_num",
    "ArtTaste",
    "incompleted_Tasks",
    "is_none",
)


def hint(error: BaseException, folder: Path) -> str | None:
    """Return one sentence of advice on the error that ended a program in this folder; `None` if unknown."""
    text = visible(str(error))
    if isinstance(error, ModuleNotFoundError) and error.name:
        return _about_module(error.name, folder)
    if isinstance(error, ImportError) and error.name and _is_own(error.name, folder):
        return f"{text}: the published code uses this name but does not define it; see {HOW_TO}"
    if isinstance(error, FileNotFoundError) and error.filename:
        name = visible(str(error.filename))
        if "config" in Path(name).parts:
            return f"{name} is missing: no commit of DegentCivil's repository has all files of config; see {HOW_TO}"
        return f"{name} is missing: start the program in DegentCivil's own folder, and create this one: mkdir {name}"
    if isinstance(error, TypeError) and "start_service" in text:
        return f"start_service() needs the city's state: pass it a message, or start main.py; see {HOW_TO}"
    if isinstance(error, (NameError, AttributeError)) and any(name in text for name in _UNDEFINED):
        return f"{text}: the published code uses this name but does not define it; see {HOW_TO}"
    return None


def _about_module(name: str, folder: Path) -> str:
    name = visible(name)
    if _is_own(name, folder):
        return (
            f"{name} is missing in this checkout: no commit of DegentCivil's repository has all files that it imports. "
            f"Get the file from its authors, or write it; the adapter does not need it. See {HOW_TO}"
        )
    root = name.partition(".")[0]
    return (
        f"{root} is not installed in this environment: pip install {_PACKAGES.get(root, root)}, or install this "
        "package into the environment that DegentCivil runs in"
    )


def _is_own(name: str, folder: Path) -> bool:
    root = folder / name.partition(".")[0]
    return root.is_dir() or root.with_suffix(".py").is_file()
