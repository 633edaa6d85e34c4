"""The server starts and answers where torch isn't installed."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys

class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "peft", "accelerate", "trl"):
            raise ModuleNotFoundError(f"{name} is blocked", name=name)

sys.meta_path.insert(0, Blocker())
from pathlib import Path
from starlette.testclient import TestClient
from tunery.core.settings import ServerSettings
from tunery.db.engine import writing
from tunery.server.app import create_app
from tunery.services.tokens import first_start

app = create_app(ServerSettings(data=Path(sys.argv[1])), work=False)
with writing(app.state.tunery.engine) as connection:
    _, token = first_start(connection)
with TestClient(app, base_url="http://127.0.0.1", headers={"Authorization": f"Bearer {token}"}) as client:
    for path in ("/api/v1/methods", "/api/v1/formats", "/api/v1/metrics", "/api/v1/base-models", "/v1/models",
                 "/api/v1/deployments", "/api/openapi.json", "/", "/runs", "/datasets"):
        answer = client.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.text)
"""


def test_no_page_and_no_route_needs_torch(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path)], capture_output=True, text=True, timeout=240
    )
    assert done.returncode == 0, done.stderr
