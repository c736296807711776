"""HTTP and OpenAI semantics: stateless Flask workers that stream from engine workers.

This package and everything it imports stays free of engine packages.
"""
