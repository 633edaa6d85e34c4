"""Composes the application and runs its processes."""
