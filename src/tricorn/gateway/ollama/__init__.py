"""What is particular to Ollama's API."""
