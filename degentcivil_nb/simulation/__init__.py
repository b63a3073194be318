"""The debuggee's side: the probe that instruments a simulation, and the demo town."""
