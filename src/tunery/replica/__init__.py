"""A process that answers chat requests for one base model and its adapters. Knows torch."""
