"""Estimates of runs that are not made yet, on the queue and wherever people ask for them."""
