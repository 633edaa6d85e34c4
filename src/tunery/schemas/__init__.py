"""What crosses a wire or is frozen in a file: pydantic models, and dataclasses that pydantic takes for such."""
