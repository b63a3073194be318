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

from tests.support.paths import ROOT

PACKAGE = "degentcivil_nb"


class Control(NamedTuple):
    """Name a control, the code that is it, what there would be without it, and the tests that must miss it."""

    name: str
    file: str
    code: str
    without: str
    tests: str


CONTROLS = (
    Control("origin: foreign pages", "server/entrance/origins.py", "if not self._allows_origin(origins[0]):", "if False:", "server/origins"),
    Control("origin: missing, with a cookie", "server/entrance/origins.py", 'if "Cookie" in headers', "if False", "server/origins"),
    Control("host: DNS rebinding", "server/entrance/origins.py", "if not self._allows_host(hosts[0]):", "if False:", "server/origins"),
    Control(
        "origin and host: asked at all",
        "server/entrance/admission.py",
        "refusal = self._gate.refusal(request.headers)",
        "refusal = None",
        "server/origins server/admission",
    ),
    Control(
        "authentication: on the upgrade",
        "server/entrance/admission.py",
        "if not await self._auth.authenticate(websocket, _token_of(websocket)):",
        "if await self._auth.authenticate(websocket, next(iter(self._auth.tokens))) is None:",
        "server/auth",
    ),
    Control("authentication: a subclass's own way in", "server/simulation_websocket.py", "if await self._admission.admits(websocket):", "if True:", "server/auth"),
    Control("authentication: the token itself", "server/entrance/auth.py", "if not self.is_valid_token(token):", "if token is None:", "server/auth"),
    Control("authentication: constant time", "server/entrance/auth.py", "if hmac.compare_digest(_digest(known), offered):", "if known == token:", "server/auth"),
    Control("authentication: within 5 s", "server/simulation_websocket.py", "open_timeout=self._entrance.open_s", "open_timeout=None", "server/exhaustion"),
    Control("authentication: expiry", "server/entrance/auth.py", "self._clock() >= granted.expires", "False", "server/auth"),
    Control("authentication: revocation ends it", "server/entrance/auth.py", "live.loop.call_soon_threadsafe(self._end, websocket)", "pass", "server/auth"),
    Control("authentication: looked at again", "server/peers/liveness.py", "self._auth.check()", "pass", "server/auth"),
    Control(
        "authentication: none means loopback only",
        "server/entrance/binding.py",
        "if not guarded and not is_loopback",
        "if False and not is_loopback",
        "server/simulation_websocket",
    ),
    Control("roles: a viewer steers nothing", "protocol/commands.py", "if not allows(role, spec.role):", "if False:", "server/dispatch"),
    Control(
        "roles: lowered in mid-session",
        "server/peers/peer.py",
        "        return self._role()\n",
        '        self.__dict__.setdefault("_first", self._role())\n        return str(self.__dict__["_first"])\n',
        "server/dispatch server/admission",
    ),
    Control("roles: none once the token has ended", "server/entrance/admission.py", "self._auth.role_on(websocket) or NO_ROLE", "self._auth.role_on(websocket) or EVERYBODY", "server/auth"),
    Control("secrets: masked in traffic and logs", "core/redaction.py", 'text = pattern.sub(rf"\\1{WITHHELD}", text)', "pass", "monitoring/websocket_debugger core/logs"),
    Control("secrets: known ones", "core/redaction.py", "text = text.replace(secret, WITHHELD)", "pass", "monitoring/websocket_debugger"),
    Control("secrets: repr", "server/entrance/auth.py", 'return f"<{len(self)} tokens, withheld>"', "return repr(self.data)", "server/auth core/secrets"),
    Control("secrets: headers in the log", "client/connecting.py", 'record.args = (arguments[0], "(withheld)")', "pass", "client/simulation_client"),
    Control("secrets: in the log of whatever is used", "__init__.py", 'import_module(".core.logs", __name__).install_filters()', "pass", "core/logs"),
    Control("secrets: in a line of the log", "core/logs.py", "visible(redacted(text))", "visible(said)", "core/logs"),
    Control("secrets: in a field of the log", "core/logs.py", "setattr(record, name, redacted(value))", "pass", "core/logs"),
    Control("secrets: in a traceback", "core/logs.py", "visible_lines(redacted(record.exc_text))", "visible_lines(record.exc_text)", "core/logs"),
    Control("secrets: in what a failure says", "client/connecting.py", "f':{port}'}{parts.path}\"", "f':{port}'}{parts.path}?{parts.query}\"", "core/secrets"),
    Control("secrets: in a URL", "session/session.py", "self.url = redacted(url)", "self.url = url", "core/secrets"),
    Control("secrets: no user name in a URL", "client/connecting.py", "if parts.username is not None:", "if False:", "core/secrets"),
    Control("tls: the authority and the name", "server/entrance/tls.py", "return ssl.create_default_context(cadata=text)", "return ssl._create_unverified_context()", "server/tls"),
    Control("tls: no token in the clear", "client/connecting.py", 'if token is not None and parts.scheme == "ws" and not local:', "if False:", "server/tls"),
    Control(
        "exhaustion: size, inflated or promised",
        "server/simulation_websocket.py",
        "max_size=self.max_message_bytes",
        "max_size=None",
        "server/exhaustion",
    ),
    Control("exhaustion: places", "server/entrance/connection_pool.py", "if len(self.connections) - replaces >= self.max_connections:", "if False:", "server/connection_pool"),
    Control("exhaustion: places of one address", "server/entrance/connection_pool.py", "if self._per_address[address] - from_there >= limit:", "if False:", "server/exhaustion"),
    Control("exhaustion: floods are limited", "server/peers/inbound.py", "self._limiter.check(peer.name, peer.address)", "pass", "server/exhaustion"),
    Control("exhaustion: errors without end", "server/peers/error_handler.py", "if window.wait(now) > 0:", "if False:", "server/exhaustion"),
    Control("exhaustion: names the limiter knows", "protocol/rate_limits.py", "or len(self) > self._max_tracked", "", "protocol/rate_limits"),
    Control("exhaustion: commands remembered", "server/dispatch.py", "if len(self._pending) + len(done) >= self._max_remembered:", "if False:", "server/dispatch"),
    Control("exhaustion: pieces a client takes", "client/frame_connection.py", "elif len(fragments) == MAX_FRAGMENTS:", "elif False:", "client/frames"),
    Control("exhaustion: size a client takes", "client/connecting.py", '"max_size": MAX_FRAME_BYTES,', '"max_size": None,', "client/frames client/simulation_client"),
    Control("exhaustion: nesting", "protocol/json_text.py", "ValueError, TypeError, RecursionError, OverflowError)", "ValueError, TypeError, OverflowError)", "server/error_handler protocol/payload_validation protocol/messages"),
    Control("exhaustion: repeats in the log", "core/logs.py", "if seen.times >= self._burst:", "if False:", "core/logs"),
    Control("exhaustion: answers nobody reads", "server/peers/peer.py", "if len(self._replies) < _MAX_REPLIES:", "if True:", "server/exhaustion"),
    Control("exhaustion: standing still", "server/peers/liveness.py", "if peer.stalled_s(now) > self._max_stall_s:", "if False:", "server/backpressure"),
)  # fmt: skip


def missed(control: Control, copy: Path) -> str:
    """Take a control out of a copy, run the tests, put it back; say which test failed first, empty if none did."""
    path = copy / PACKAGE / control.file
    whole = path.read_text()
    if whole.count(control.code) != 1:
        raise SystemExit(f"{control.name}: {control.file} has {whole.count(control.code)} of {control.code!r}")
    path.write_text(whole.replace(control.code, control.without))
    try:
        tests = ["tests/{}/test_{}.py".format(*name.split("/")) for name in control.tests.split()]
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
