"""Real processes, disturbed every few seconds: `make chaos`."""
