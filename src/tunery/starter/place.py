"""Where the starter model lies in the package, and its name."""

from pathlib import Path

MODEL_NAME = "tunery-starter"
MODEL_FOLDER = Path(__file__).parent / "model"
