"""Runs that go on from an earlier run's model."""
