"""What requests may contain: pydantic models, one file an API family."""
