"""The starter model: where its text, its tokenizer, its recipe and the sample task come from.

Everything here writes files; nothing here trains. The modules know nothing about the engine that does.
"""
