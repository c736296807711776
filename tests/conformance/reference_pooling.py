"""What transformers computes for texts that are embedded or compared, and a cross-encoder to
compare with. Runs in vLLM's environment, which has torch:

    ENGINE_PYTHON tests/conformance/reference_pooling.py make FOLDER TOKENIZER_FOLDER
    ENGINE_PYTHON tests/conformance/reference_pooling.py embed|score FOLDER < TEXTS

The last two read a JSON list of texts and print a JSON list: a vector of each, or the score of each
but the first one, which is the query.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

SEED = 1


def embeddings(python: Path, folder: Path, texts: list[str]) -> list[list[float]]:
    """Of length 1 each, the mean over the tokens."""
    found: list[list[float]] = _printed(python, "embed", folder, texts)
    return found


def scores(python: Path, folder: Path, query: str, documents: list[str]) -> list[float]:
    """Of each document, 0 to 1."""
    found: list[float] = _printed(python, "score", folder, [query, *documents])
    return found


def make_cross_encoder(python: Path, folder: Path, tokenizer: Path) -> None:
    """A small BERT with random weights that tells how two texts go together."""
    command = [str(python), __file__, "make", str(folder), str(tokenizer)]
    subprocess.run(command, check=True)


def _printed(python: Path, what: str, folder: Path, texts: list[str]) -> Any:
    command = [str(python), __file__, what, str(folder)]
    done = subprocess.run(
        command, input=json.dumps(texts), check=True, capture_output=True, text=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def make(folder: str, tokenizer: str) -> None:
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


def embed(folder: str, texts: list[str]) -> list[list[float]]:
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


def score(folder: str, texts: list[str]) -> list[float]:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32)
    query, *documents = texts
    with torch.inference_mode():
        logits = [model(**tokenizer(query, text, return_tensors="pt")).logits for text in documents]
    return [float(torch.sigmoid(each[0, 0])) for each in logits]


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(*sys.argv[2:])
    else:
        compute = {"embed": embed, "score": score}[sys.argv[1]]
        print(json.dumps(compute(sys.argv[2], json.load(sys.stdin))))
