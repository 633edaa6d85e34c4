"""Model families. Each module corrects or adds what a tokenizer's template lacks."""
