"""What travels, and its rules: pure code without sockets, threads or clocks of its own."""
