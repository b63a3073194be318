"""What every other package may use: threads, logs, progress and safe text. It knows nothing of simulations."""
