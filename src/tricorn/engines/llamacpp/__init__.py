"""llama.cpp with continuous batching, over llama-cpp-python's low-level API.

`engine` ties together `binding` (the C API), `kv` (who holds which cells of the KV cache),
`scheduler` (what goes into the next step), `sampling` (from logits to a token) and `options`.
`embedding` is in its place for models that pool (their files say so), over `pooled`; `cores`
chooses, and `start` is what the registry calls. Only `binding`, `pooled` and `sampling` import
llama_cpp; `options`, `footprint` and `mmproj` are pure, and the manager uses them too.
"""
