"""A typed client of the REST API for people's Python."""
