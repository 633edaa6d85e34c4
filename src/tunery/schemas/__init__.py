"""What crosses a wire or is frozen in a file: pydantic models only."""
