"""TLS to services: certificates are checked against the name, though the connection goes to a judged number."""

import contextlib
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tunery.core import egress
from tunery.core.egress import Egress
from tunery.core.errors import Problem
from tunery.core.reach import Allowance, parse_target

NAME = "store.example"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for NAME, signed by itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "service.pem"
    plain = serialization.NoEncryption()
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@contextlib.contextmanager
def service(certificate: Path) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = HTTPServer(("127.0.0.1", 0), Handler)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    server.handle_error = lambda request, client_address: None
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fresh_trust() -> Iterator[None]:
    egress._trust.cache_clear()
    yield
    egress._trust.cache_clear()


@pytest.mark.usefixtures("fresh_trust")
def test_a_certificate_counts_for_its_name_once_it_is_trusted(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def here(host: str, port: int) -> list[object]:
        return [ip_address("127.0.0.1")]

    def ask(name: str, port: int) -> int:
        with Egress([Allowance.parse("127.0.0.1")], resolve=here) as out:  # pyright: ignore[reportArgumentType]
            return out.ask("GET", parse_target(f"https://{name}:{port}"), "/", {}).status

    with service(certificate) as port:
        with pytest.raises(Problem) as caught:
            ask(NAME, port)
        assert (caught.value.code, caught.value.params["detail"]) == ("remote_tls", "self-signed certificate")
        egress._trust.cache_clear()
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask(NAME, port) == 200
        with pytest.raises(Problem) as caught:
            ask("other.example", port)
        assert caught.value.code == "remote_tls"
        assert "other.example" in caught.value.params["detail"]
