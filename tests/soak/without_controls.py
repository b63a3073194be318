"""Take each security control out, in a copy, and see that an attack then gets through: a test must fail.

Not part of the suite: it runs the suite's attack tests once for each control, in a copy of this checkout that is
deleted afterwards. Prints a table; exit code 1 if the tests did not miss a control that was gone.

    python -m tests.soak.without_controls            # all of them, some minutes
    python -m tests.soak.without_controls tls roles  # those whose name has one of these words
"""

# ruff: noqa: E501 — the table has one control a line

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PACKAGE = "degentcivil_nb"


class Control(NamedTuple):
    """Name a control, the code that is it, what there would be without it, and the tests that must miss it."""

    name: str
    file: str
    code: str
    without: str
    tests: str


CONTROLS = (
    Control("origin: foreign pages", "server/origins.py", "if not self._knows_origin(origins[0]):", "if False:", "origins"),
    Control("origin: missing, with a cookie", "server/origins.py", 'if "Cookie" in headers', "if False", "origins"),
    Control("host: DNS rebinding", "server/origins.py", "if not self._knows_host(hosts[0]):", "if False:", "origins"),
    Control(
        "origin and host: asked at all",
        "server/admission.py",
        "refusal = self._gate.refusal(request.headers)",
        "refusal = None",
        "origins server_admission",
    ),
    Control(
        "authentication: on the upgrade",
        "server/admission.py",
        "if not await self._auth.authenticate(websocket, _token_of(websocket)):",
        "if await self._auth.authenticate(websocket, next(iter(self._auth.tokens))) is None:",
        "auth",
    ),
    Control("authentication: a subclass's own way in", "server/simulation_websocket.py", "if await self._door.admits(websocket):", "if True:", "auth"),
    Control("authentication: the token itself", "server/auth.py", "if not self.is_valid_token(token):", "if token is None:", "auth"),
    Control("authentication: constant time", "server/auth.py", "if hmac.compare_digest(_digest(known), offered):", "if known == token:", "auth"),
    Control("authentication: within 5 s", "server/simulation_websocket.py", "open_timeout=self._open_s", "open_timeout=None", "exhaustion"),
    Control("authentication: expiry", "server/auth.py", "self._clock() >= granted.expires", "False", "auth"),
    Control("authentication: revocation ends it", "server/auth.py", "live.loop.call_soon_threadsafe(self._end, websocket)", "pass", "auth"),
    Control("authentication: looked at again", "server/keeper.py", "self._auth.check()", "pass", "auth"),
    Control(
        "authentication: none means loopback only",
        "server/binding.py",
        "if not guarded and not is_loopback",
        "if False and not is_loopback",
        "simulation_websocket",
    ),
    Control("roles: a viewer steers nothing", "server/dispatch.py", "if not allows(role, spec.role):", "if False:", "dispatch"),
    Control(
        "roles: lowered in mid-session",
        "server/peer.py",
        "        return self._role()\n",
        '        self.__dict__.setdefault("_first", self._role())\n        return str(self.__dict__["_first"])\n',
        "dispatch server_admission",
    ),
    Control("roles: none once the token has ended", "server/admission.py", "self._auth.role_on(websocket) or NOBODY", "self._auth.role_on(websocket) or EVERYBODY", "auth"),
    Control("secrets: masked in traffic and logs", "protocol/masking.py", 'text = pattern.sub(rf"\\1{WITHHELD}", text)', "pass", "websocket_debugger logging"),
    Control("secrets: known ones", "protocol/masking.py", "text = text.replace(secret, WITHHELD)", "pass", "websocket_debugger"),
    Control("secrets: repr", "server/auth.py", 'return f"<{len(self)} tokens, withheld>"', "return repr(self.data)", "auth secrets"),
    Control("secrets: headers in the log", "client/dialing.py", 'record.args = (arguments[0], "(withheld)")', "pass", "simulation_client"),
    Control("secrets: in the log of whatever is used", "__init__.py", 'import_module(".monitoring.logs", __name__).tame()', "pass", "logging"),
    Control("secrets: in a line of the log", "monitoring/logs.py", "_escaped(masked(said))", "_escaped(said)", "logging"),
    Control("secrets: in a field of the log", "monitoring/logs.py", "setattr(record, name, masked(value))", "pass", "logging"),
    Control("secrets: in a traceback", "monitoring/logs.py", "record.exc_text = masked(record.exc_text)", "pass", "logging"),
    Control("secrets: in what a failure says", "client/dialing.py", "f':{port}'}{parts.path}\"", "f':{port}'}{parts.path}?{parts.query}\"", "secrets"),
    Control("secrets: in a URL", "session.py", "self.url = masked(url)", "self.url = url", "secrets"),
    Control("secrets: no user name in a URL", "client/dialing.py", "if parts.username is not None:", "if False:", "secrets"),
    Control("tls: the authority and the name", "server/tls.py", "return ssl.create_default_context(cadata=text)", "return ssl._create_unverified_context()", "tls"),
    Control("tls: no token in the clear", "client/dialing.py", 'if token is not None and parts.scheme == "ws" and not local:', "if False:", "tls"),
    Control(
        "exhaustion: size, inflated or promised",
        "server/simulation_websocket.py",
        "max_size=self.max_message_bytes",
        "max_size=None",
        "exhaustion",
    ),
    Control("exhaustion: places", "server/connection_pool.py", "if len(self.connections) - replaces >= self.max_connections:", "if False:", "connection_pool"),
    Control("exhaustion: places of one address", "server/connection_pool.py", "if self._per_address[address] - from_there >= limit:", "if False:", "exhaustion"),
    Control("exhaustion: floods are limited", "server/inbound.py", "self._limiter.check(peer.name, peer.address)", "pass", "exhaustion"),
    Control("exhaustion: errors without end", "server/error_handler.py", "if window.wait(now) > 0:", "if False:", "exhaustion"),
    Control("exhaustion: names the limiter knows", "protocol/limits.py", "or len(self) > self._max_tracked", "", "rate_limiter"),
    Control("exhaustion: commands remembered", "server/dispatch.py", "if len(entries) >= self._max_remembered:", "if False:", "dispatch"),
    Control("exhaustion: pieces a client takes", "client/connection.py", "elif len(fragments) == MAX_FRAGMENTS:", "elif False:", "client_frames"),
    Control("exhaustion: size a client takes", "client/dialing.py", '"max_size": MAX_FRAME_BYTES,', '"max_size": None,', "client_frames simulation_client"),
    Control("exhaustion: nesting", "protocol/json_text.py", "ValueError, TypeError, RecursionError, OverflowError)", "ValueError, TypeError, OverflowError)", "error_handler validation websocket_message"),
    Control("exhaustion: repeats in the log", "monitoring/logs.py", "if seen.times >= self._burst:", "if False:", "logging"),
    Control("exhaustion: answers nobody reads", "server/peer.py", "if len(self._replies) < _MAX_REPLIES:", "if True:", "exhaustion"),
    Control("exhaustion: standing still", "server/keeper.py", "if peer.still_for(now) > self._max_stall_s:", "if False:", "backpressure"),
)  # fmt: skip


def missed(control: Control, copy: Path) -> str:
    """Take a control out of a copy, run the tests, put it back; say which test failed first, empty if none did."""
    path = copy / PACKAGE / control.file
    whole = path.read_text()
    if whole.count(control.code) != 1:
        raise SystemExit(f"{control.name}: {control.file} has {whole.count(control.code)} of {control.code!r}")
    path.write_text(whole.replace(control.code, control.without))
    try:
        tests = [f"tests/test_{name}.py" for name in control.tests.split()]
        ran = subprocess.run(
            [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--timeout=30", "-p", "no:cacheprovider", *tests],
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy)},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
    finally:
        path.write_text(whole)
    failed = [line for line in ran.stdout.splitlines() if line.startswith(("FAILED tests", "ERROR tests"))]
    if ran.returncode == 1 and failed:
        return failed[0].split(" - ")[0]
    if ran.returncode not in (0, 1):
        raise SystemExit(
            f"{control.name}: pytest ended with {ran.returncode}\n{ran.stdout[-2_000:]}{ran.stderr[-2_000:]}"
        )
    return ""


def main(words: list[str]) -> int:
    chosen = [control for control in CONTROLS if not words or any(word in control.name for word in words)]
    kept = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "checkout"
        shutil.copytree(ROOT, copy, ignore=shutil.ignore_patterns(".git", ".*_cache", "__pycache__", ".hypothesis"))
        for control in chosen:
            failed = missed(control, copy)
            kept += not failed
            print(f"{control.name:<42} {failed or 'NOBODY MISSED IT'}", flush=True)
    return 1 if kept else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
