"""What is sent back: objects, streams, errors."""
