"""Answers in the shapes of OpenAI's Responses API; pure."""
