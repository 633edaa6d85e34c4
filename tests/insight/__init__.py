"""What people learn about a version: statistics, search, differences, what the model sees; and what deletion leaves."""
