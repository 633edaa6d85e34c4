"""The use cases, shared by REST, console and the OpenAI routes."""
