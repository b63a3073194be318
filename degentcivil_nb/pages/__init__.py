"""Pages that need neither Python nor a network: case files, and the static views of saved notebooks."""
