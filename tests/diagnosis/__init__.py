"""The diagnosis of curves: each finding on made and on recorded ones, and where people meet it."""
