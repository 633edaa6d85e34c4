"""Serving backends. Each module says how one kind of replica is started and asked."""
