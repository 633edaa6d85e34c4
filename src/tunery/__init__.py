"""Tunery: a self-hosted platform to fine-tune, evaluate, publish and serve models."""

__version__ = "0.1.0"
