"""Anthropic's Messages API: requests."""
