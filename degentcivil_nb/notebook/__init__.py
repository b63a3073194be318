"""The parts for notebooks only: magics and rich displays."""
