"""What a model's files tell before any engine has opened them. Pure, but for reading those files.

`gguf` reads GGUF files (`gguf_header`, `gguf_types`), `folder` Hugging Face's and MLX's folders
(`config_json`, `safetensors`); both give `facts.FileFacts`. The engines' `footprint` modules say
from them what a load will take of memory.
"""
