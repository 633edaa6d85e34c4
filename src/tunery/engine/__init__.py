"""Training and evaluation on one attempt folder. Knows torch; knows no database and no web framework."""
