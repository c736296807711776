"""Leases and queues: which replica gets a request, and which models are loaded or make room."""
