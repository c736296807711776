"""Which files of a repository are pulled."""

from __future__ import annotations

import pytest

from tricorn.errors import InvalidRequest, ModelNotFound, TricornError
from tricorn.hub import quants
from tricorn.hub.names import parse
from tricorn.hub.selection import RepoFile, Selection, select

QUANTS = "m-Q2_K.gguf m-Q4_K_M.gguf m-Q8_0.gguf m-f16.gguf README.md .gitattributes config.json"
SPLIT = (
    "Q4_K_M/m-Q4_K_M-00001-of-00002.gguf Q4_K_M/m-Q4_K_M-00002-of-00002.gguf "
    "BF16/m-BF16-00001-of-00002.gguf BF16/m-BF16-00002-of-00002.gguf"
)
EYES = "m-Q4_K_M.gguf m-Q8_0.gguf mmproj-m-f16.gguf mmproj-m-F32.gguf mmproj-m-Q8_0.gguf"
FOLDER = (
    "config.json generation_config.json tokenizer.json tokenizer_config.json merges.txt vocab.json "
    "chat_template.jinja preprocessor_config.json model.safetensors.index.json "
    "model-00001-of-00002.safetensors model-00002-of-00002.safetensors"
)
LEFT_OUT = (
    "README.md LICENSE.txt .gitattributes pytorch_model.bin pytorch_model-00001-of-00002.bin "
    "pytorch_model.bin.index.json consolidated.00.pth original/consolidated.00.pth "
    "original/params.json onnx/model.onnx onnx/config.json tf_model.h5 flax_model.msgpack "
    "consolidated.safetensors model.fp16.safetensors training_args.bin trainer_state.json "
    "figures/loss.png runs/events.json"
)


def chosen(name: str, files: str) -> Selection:
    return select(parse(name), [RepoFile(file, 1) for file in files.split()])


def names(name: str, files: str) -> set[str]:
    return {one.file.name for one in chosen(name, files).files}


@pytest.mark.parametrize(
    ("name", "files", "expected"),
    [
        ("o/r", QUANTS, "m-Q4_K_M.gguf"),
        ("o/r:Q8_0", QUANTS, "m-Q8_0.gguf"),
        ("o/r:q8_0", QUANTS, "m-Q8_0.gguf"),
        ("o/r:F16", QUANTS, "m-f16.gguf"),
        ("o/r:fp16", QUANTS, "m-f16.gguf"),
        ("o/r:m-q2_k.gguf", QUANTS, "m-Q2_K.gguf"),
        ("o/r", "m-Q2_K.gguf m-Q5_K_M.gguf m-F16.gguf", "m-Q5_K_M.gguf"),
        ("o/r", "m-UD-Q4_K_XL.gguf m-Q8_0.gguf", "m-UD-Q4_K_XL.gguf"),
        ("o/r:Q4_K_XL", "m-UD-Q4_K_XL.gguf m-Q8_0.gguf", "m-UD-Q4_K_XL.gguf"),
        ("o/r", "m.gguf", "m.gguf"),
        ("o/r", "m.i1-Q4_K_M.gguf m.i1-IQ1_S.gguf", "m.i1-Q4_K_M.gguf"),
        ("o/r", SPLIT, "Q4_K_M/m-Q4_K_M-00001-of-00002.gguf Q4_K_M/m-Q4_K_M-00002-of-00002.gguf"),
        (
            "o/r:m-bf16-00002-of-00002.gguf",
            SPLIT,
            "BF16/m-BF16-00001-of-00002.gguf BF16/m-BF16-00002-of-00002.gguf",
        ),
        ("o/r", EYES, "m-Q4_K_M.gguf mmproj-m-f16.gguf"),
        ("o/r:Q8_0", "m-Q8_0.gguf mmproj-BF16.gguf", "m-Q8_0.gguf mmproj-BF16.gguf"),
        ("o/r", f"{FOLDER} {LEFT_OUT}", FOLDER),
        ("o/r", f"{FOLDER} m-Q4_0.gguf", FOLDER),
        ("o/r:Q4_0", f"{FOLDER} m-Q4_0.gguf", "m-Q4_0.gguf"),
        (
            "o/r",
            "config.json tokenizer.model params.json consolidated.safetensors",
            "config.json tokenizer.model params.json consolidated.safetensors",
        ),
        (
            "o/r",
            "adapter_config.json adapter_model.safetensors README.md",
            "adapter_config.json adapter_model.safetensors",
        ),
        (
            "o/r",
            "config.json model.safetensors modules.json 1_Pooling/config.json 1_Pooling/x.md",
            "config.json model.safetensors modules.json 1_Pooling/config.json",
        ),
        (
            "o/r",
            "config.json model.safetensors ../evil.json /etc/x.json .x.json a\\b.json",
            "config.json model.safetensors",
        ),
    ],
)
def test_the_right_files(name: str, files: str, expected: str) -> None:
    """One quantisation with its parts and its eye, or what an engine reads of a folder."""
    assert names(name, files) == set(expected.split())


@pytest.mark.parametrize(
    ("name", "files", "kind", "text"),
    [
        ("o/r:Q6_K", QUANTS, ModelNotFound, "has no Q6_K; it has F16, Q2_K, Q4_K_M, Q8_0"),
        ("o/r:x.gguf", QUANTS, ModelNotFound, "has no file x.gguf; it has m-Q2_K.gguf, m-Q4_K_M"),
        ("o/r:Q4_K_M", FOLDER, ModelNotFound, "has no GGUF files to choose Q4_K_M from"),
        ("o/r", "a-Q4_K_M.gguf b-Q4_K_M.gguf", InvalidRequest, "name the file, as o/r:a-Q4_K_M"),
        ("o/r", "m-Q4_0-00001-of-00002.gguf", ModelNotFound, "lacks parts .*00002-of-00002"),
        ("o/r", "config.json pytorch_model.bin", ModelNotFound, "PyTorch's own format only"),
        ("o/r", "unet/model.safetensors", ModelNotFound, "no config.json beside"),
        ("o/r", "README.md", ModelNotFound, "has no model in it"),
        ("o/r", "mmproj-f16.gguf", ModelNotFound, "has no model in it"),
    ],
)
def test_what_cannot_be_chosen(name: str, files: str, kind: type[TricornError], text: str) -> None:
    """The error says what there is, or what is wrong with the repository."""
    with pytest.raises(kind, match=text):
        chosen(name, files)


def test_a_split_model_lies_in_one_folder() -> None:
    """Wherever the repository has its parts: they are listed as one model."""
    found = chosen("o/r", SPLIT)
    assert [one.target for one in found.files] == [
        "m-Q4_K_M-00001-of-00002.gguf",
        "m-Q4_K_M-00002-of-00002.gguf",
    ]
    assert found.models == ("o/r/m-Q4_K_M",)


def test_a_folder_becomes_a_model_last() -> None:
    """config.json is put into its place after everything else."""
    found = chosen("o/r", FOLDER)
    assert found.files[-1].target == "config.json"
    assert found.models == ("o/r",)


@pytest.mark.parametrize(
    ("file", "expected"),
    [
        ("Llama-3.2-1B-Instruct-Q4_K_M.gguf", "Q4_K_M"),
        ("gemma-3-4b-it-UD-IQ2_XXS.gguf", "UD-IQ2_XXS"),
        ("ggml-model-fp16.gguf", "F16"),
        ("Phi-3-mini-4k-instruct-q4.gguf", "Q4"),
        ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
        ("BitNet-TQ1_0.gguf", "TQ1_0"),
        ("Q8_0/m-00001-of-00002.gguf", "Q8_0"),
        ("m-Q4_0_4_4.gguf", "Q4_0_4_4"),
        ("Qwen2.5-7B.gguf", None),
    ],
)
def test_labels(file: str, expected: str | None) -> None:
    """What a file's name says of its quantisation."""
    assert quants.label(file) == expected
