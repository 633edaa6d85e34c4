"""Extensions of Tunery in a package of their own."""
