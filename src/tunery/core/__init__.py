"""Ground that knows nothing of the product's nouns: errors, ids, clock, files, extension points, settings."""
