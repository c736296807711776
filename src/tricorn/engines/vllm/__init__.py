"""vLLM: its AsyncLLM inside the engine worker, which runs the model in processes of its own.

`engine` is the adapter; `runtime` and `vision` import vllm, the others are pure.
"""
