"""What a run learns from: recipes, and cleaning before them."""
