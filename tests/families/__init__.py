"""Every architecture that can be trained, under one contract."""
