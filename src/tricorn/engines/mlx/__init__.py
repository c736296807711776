"""Apple's MLX with continuous batching, over mlx-lm's BatchGenerator.

`engine` chooses between `generation` and `embedding`. `generation` ties together `model` (weights
and batches), `folder`, `tokenizer` and `vocabulary` (the files of a model), `scheduler` (who is
computed and who waits), `prefixes` (caches of ended sequences), `memory` (what fits into the
machine), `pace` (how long a step may be), `sampling` (from logits to a token), `endings` (from a
token to text) and `options`. Of these only `generation`, `embedding`, `model`, `sampling` and
`tokenizer` import packages of MLX's environment; `engine` imports them once the device is set.
"""
