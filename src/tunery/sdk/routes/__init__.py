"""The routes of /api/v1 as typed functions that describe calls, one file per noun."""
