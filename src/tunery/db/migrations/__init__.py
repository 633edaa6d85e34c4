"""Schema history: forward only."""
