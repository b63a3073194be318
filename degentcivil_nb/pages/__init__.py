"""Pages that stand without Python and without a network: case files, and the static views of saved notebooks."""
