"""One table of cases for every language-model server: what holds for llama.cpp holds for vLLM."""
