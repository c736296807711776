"""llama.cpp with continuous batching, over llama-cpp-python's low-level API.

`engine` ties together `binding` (the C API), `kv` (who holds which cells of the KV cache),
`scheduler` (what goes into the next step), `sampling` (from logits to a token) and `options`. Only
`binding` and `sampling` import llama_cpp.
"""
