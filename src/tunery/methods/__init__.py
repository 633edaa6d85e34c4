"""Training methods. Each module is one: its settings, the rows it takes, its loss."""
