"""Places outside this server that rows are read from."""
