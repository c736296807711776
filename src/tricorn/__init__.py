"""Tricorn: one OpenAI-compatible endpoint over vLLM, MLX and llama.cpp."""

__version__ = "0.1.0"
