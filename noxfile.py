"""The tasks by name: `nox -l` lists them. All but `whole` run in the environment that nox is installed in."""

from __future__ import annotations

import nox

nox.options.sessions = ["lint", "quick"]
nox.options.default_venv_backend = "none"


@nox.session
def quick(session: nox.Session) -> None:
    """Run the quick tests, in two minutes."""
    session.run("pytest", "-q", "-n", "2", "--dist", "loadfile", "-m", "not slow", *session.posargs)


@nox.session
def whole(session: nox.Session) -> None:
    """Do what every change must pass: install from nothing, run all tests, and the linters."""
    session.run("bash", ".ci/run", external=True)


@nox.session
def nightly(session: nox.Session) -> None:
    """Run what takes hours, or the parts that are named: `nox -s nightly -- resolve`."""
    session.run("bash", ".ci/nightly", *session.posargs, external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check Python: lint, format and types."""
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")
    session.run("mypy")


@nox.session
def javascript(session: nox.Session) -> None:
    """Check the scripts of the panels: types and lint. Needs Node 20."""
    with session.chdir("tests/javascript"):
        session.run("npm", "ci", "--no-audit", "--no-fund", external=True)
        session.run("npm", "run", "check", external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation into build/site, which works from disk; a link that leads nowhere fails."""
    session.run("mkdocs", "build", "--strict", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def benchmarks(session: nox.Session) -> None:
    """Measure: `nox -s benchmarks -- --only store client`."""
    session.run("python", "-m", "tests.benchmarks", *session.posargs)


@nox.session
def lock(session: nox.Session) -> None:
    """Write requirements.lock anew: the versions that the tests are run with."""
    session.run(
        "uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11", "--extra", "dev", "--upgrade",
        "--no-header", "--no-annotate", "--output-file", "requirements.lock", "pyproject.toml",
    )  # fmt: skip
