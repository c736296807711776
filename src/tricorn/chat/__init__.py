"""OpenAI semantics, pure: no I/O, no engine, the same for every engine."""
