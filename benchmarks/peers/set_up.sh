#!/bin/sh
# Makes a virtual environment with the programs that the model benchmarks compare with: sh benchmarks/peers/set_up.sh FOLDER
set -eu
folder=$1
python3 -m venv "$folder"
"$folder/bin/python" -m pip install --quiet --disable-pip-version-check \
    rlms==0.1.3 openai==2.51.0 dspy==3.4.1 litellm==1.110.2 'smolagents[openai]==1.26.0' 'pydantic-ai-slim[openai]==1.107.10'
"$folder/bin/python" -m pip freeze | grep -iE '^(rlms|openai|dspy|smolagents|pydantic-ai-slim|litellm)=='
