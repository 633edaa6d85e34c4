"""REST routes, one module per noun, found by a scan."""
