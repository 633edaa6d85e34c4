"""The starter model's name and place in the package, and the size of the sample task."""

from pathlib import Path

MODEL_NAME = "tunery-starter"
MODEL_FOLDER = Path(__file__).parent / "model"
DEMO_SPEC = Path(__file__).parent / "demo.yaml"
TRAIN_ROWS = 3000
HELD_OUT_ROWS = 400
