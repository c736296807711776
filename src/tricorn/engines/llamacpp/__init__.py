"""llama.cpp with continuous batching, over llama-cpp-python's low-level API.

`engine` ties together `binding` (the C API), `kv` (who holds which cells of the KV cache),
`scheduler` (what goes into the next step), `sampling` (from logits to a token) and `options`.
`embedding` is in its place for models that pool (`metadata` knows them), over `pooled`; `cores`
chooses. Only `binding`, `pooled` and `sampling` import llama_cpp.
"""

import os

if "GOMP_SPINCOUNT" not in os.environ and "OMP_WAIT_POLICY" not in os.environ:
    # Its threads wait for each other after every operation, by spinning for many milliseconds
    # before they sleep. Where another process has the core of one of them, the others then keep it
    # from coming back, and a step takes several times as long. This is a fifteenth of libgomp's
    # default, as fast on an idle machine as far as could be measured. Read when libgomp is
    # loaded, with llama_cpp.
    os.environ["GOMP_SPINCOUNT"] = "20000"
