"""Where bytes live, addressed by content. Each module is one kind of store."""
