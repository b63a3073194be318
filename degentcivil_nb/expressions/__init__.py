"""The condition language of breakpoints, watches and filters, and the command line of the console."""
