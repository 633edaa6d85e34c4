"""What is known about base models, and what has been made."""
