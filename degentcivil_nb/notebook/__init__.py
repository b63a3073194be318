"""What only a notebook has: magics and rich displays."""
