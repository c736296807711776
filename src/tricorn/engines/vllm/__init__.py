"""vLLM: its AsyncLLM inside the engine worker, which runs the model in processes of its own.

`engine` is the adapter and the only module here that imports vllm; the others are pure.
"""
