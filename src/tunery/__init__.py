"""Tunery: a self-hosted platform to fine-tune, judge, publish and serve models."""

__version__ = "0.1.0"
