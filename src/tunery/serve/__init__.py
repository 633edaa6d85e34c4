"""Which replica answers for which model name; starts and stops replicas. Knows no torch."""
