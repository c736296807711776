"""What transformers computes, to compare engines with. Runs in vLLM's environment, which has torch:

    ENGINE_PYTHON tests/conformance/torch_process.py

One process for all tests, since it takes seconds to import. A line of its standard input is a JSON
list: one of the functions below and its arguments; a line of its output is what that gave.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

SEED = 1


def read(
    folder: str, prompt: list[int], tokens: int, adapter: str | None = None
) -> list[list[float]]:
    """[token id, natural logarithm of its probability], in float32: of the prompt's tokens from the
    second one on, then of `tokens` greedy ones.

    adapter: the folder of a LoRA adapter to merge into the weights.
    """
    import torch
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    if adapter is not None:
        _merge(model, Path(adapter))
    ids, found = list(prompt), []
    with torch.inference_mode():
        read = model(torch.tensor([prompt])).logits[0].log_softmax(-1)
        found += [[token, float(read[at, token])] for at, token in enumerate(prompt[1:])]
        for _ in range(tokens):
            logprobs = model(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
            best = int(logprobs.argmax())
            found.append([best, float(logprobs[best])])
            ids.append(best)
    return found


def _merge(model: Any, adapter: Path) -> None:
    """Add each layer's B·A, scaled by alpha / r, to its weights."""
    from safetensors.torch import load_file

    config = json.loads((adapter / "adapter_config.json").read_text())
    tensors = load_file(adapter / "adapter_model.safetensors")
    for name, a in tensors.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            b = tensors[name.replace("lora_A", "lora_B")]
            weight = model.get_submodule(layer).weight
            weight.data += config["lora_alpha"] / config["r"] * (b @ a)


def embed(folder: str, texts: list[str]) -> list[list[float]]:
    """A vector of each, of length 1: the mean over its tokens."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModel.from_pretrained(folder, dtype=torch.float32)
    vectors = []
    with torch.inference_mode():
        for text in texts:
            mean = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
            vectors.append((mean / mean.norm()).tolist())
    return vectors


def score(folder: str, query: str, documents: list[str]) -> list[float]:
    """Of each document, 0 to 1."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        logits = [model(**tokenizer(query, text, return_tensors="pt")).logits for text in documents]
    return [float(torch.sigmoid(each[0, 0])) for each in logits]


def make_cross_encoder(folder: str, tokenizer: str) -> None:
    """A small BERT with random weights that tells how two texts go together."""
    import torch
    from transformers import AutoTokenizer, BertConfig, BertForSequenceClassification

    torch.manual_seed(SEED)
    config = BertConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=128,
        max_position_embeddings=128,
        num_labels=1,
        initializer_range=0.3,  # so that its scores differ
    )
    model = BertForSequenceClassification(config)
    # llama.cpp takes both texts of a pair to be of the first kind.
    kinds = model.bert.embeddings.token_type_embeddings.weight.data
    kinds[1] = kinds[0]
    model.save_pretrained(folder)
    AutoTokenizer.from_pretrained(tokenizer).save_pretrained(folder)
    shutil.copy(Path(tokenizer) / "vocab.txt", folder)


def serve() -> None:
    """Until its input ends. An error ends it, and is told on standard error."""
    answers, sys.stdout = sys.stdout, sys.stderr  # what libraries print is no answer
    functions = {f.__name__: f for f in (read, embed, score, make_cross_encoder)}
    for line in sys.stdin:
        function, *arguments = json.loads(line)
        print(json.dumps(functions[function](*arguments)), file=answers, flush=True)


if __name__ == "__main__":
    serve()
