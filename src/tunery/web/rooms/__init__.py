"""The rooms of the console, one module each; see web/nav.py."""
