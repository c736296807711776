"""Inference engines: one ABC (`base`), one adapter a backend, a lazy `registry`."""
