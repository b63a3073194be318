"""Settings of the stand-in, from the environment, so that a run takes seconds instead of hours."""

import os

SLEEP_SCALE = float(os.environ.get("STAND_IN_SLEEP_SCALE", "0.01"))
"""What the states' sleeps, in seconds, are multiplied by; 1 is as published."""
UPDATE_INTERVAL_S = float(os.environ.get("STAND_IN_UPDATE_S", "0.05"))
UPDATES = int(os.environ.get("STAND_IN_UPDATES", "0"))
"""After so many calls of update_state the loop ends; 0 is never, as published."""
MENDED_START = os.environ.get("STAND_IN_MENDED_START", "") == "1"
"""Whether the WebSocket's entry point gives start_service the argument that it lacks as published."""
NEW_DAYS = os.environ.get("STAND_IN_NEW_DAYS", "1") == "1"
PORT = int(os.environ.get("STAND_IN_PORT", "8001"))
DEBUG = False
HOURS_AN_UPDATE = 2
