"""Where requests of the server may go: addresses, names that change their mind, redirects, certificates' names."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import httpx2
import pytest

from loops import run_aside
from plumbline_backend.net_guard import (
    UnreachableError,
    guarded_async_transport,
    guarded_transport,
    refusal,
    resolve,
)


@pytest.mark.parametrize(
    ("address", "public", "private"),
    [
        ("93.184.215.14", True, True),
        ("2606:2800:21f:cb07:6820:80da:af6b:8b2c", True, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("10.1.2.3", False, True),
        ("192.168.0.1", False, True),
        ("172.16.0.1", False, True),
        ("fd00::1", False, True),
        ("100.64.0.1", False, True),
        ("169.254.169.254", False, False),  # the metadata services of clouds
        ("fe80::1", False, False),
        ("fe80::1%eth0", False, False),
        ("0.0.0.0", False, False),
        ("::", False, False),
        ("224.0.0.1", False, False),
        ("ff02::1", False, False),
        ("::ffff:127.0.0.1", False, True),  # 127.0.0.1 as IPv6
        ("::ffff:169.254.169.254", False, False),
        ("64:ff9b::a9fe:a9fe", False, False),  # 169.254.169.254 behind NAT64
        ("2002:7f00:1::", False, True),  # 127.0.0.1 behind 6to4
        ("240.0.0.1", False, False),
    ],
)
def test_addresses(address: str, public: bool, private: bool) -> None:
    assert (refusal(address, "public") == "") == public
    assert (refusal(address, "private") == "") == private


def test_a_name_with_one_bad_address_is_refused() -> None:
    with pytest.raises(UnreachableError, match=r"host 'mixed\.example': 10\.0\.0\.1 is not a public address"):
        resolve("mixed.example", 443, "public", lambda *_: ["93.184.215.14", "10.0.0.1"])
    with pytest.raises(UnreachableError, match="has no address"):
        resolve("empty.example", 443, "public", lambda *_: [])


@pytest.mark.parametrize("spelling", ["0x7f000001", "2130706433", "127.1", "017700000001", "127.0.0.1"])
def test_spellings_of_loopback(spelling: str) -> None:
    with pytest.raises(UnreachableError):
        resolve(spelling, 80, "public")


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/away":
            self.send_response(302)
            self.send_header("Location", f"http://metadata.example:{self.server.server_address[1]}/latest")
            self.end_headers()
            return
        self.send_response(200)
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()
    thread.join()


class Names:
    """A resolver that can change its mind, and counts how often it is asked."""

    def __init__(self, **names: list[list[str]]) -> None:
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.asked = 0

    def __call__(self, host: str, _port: int) -> list[str]:
        self.asked += 1
        answers = self.names[host]
        return answers.pop(0) if len(answers) > 1 else answers[0]


def test_the_connection_goes_to_the_address_that_was_checked(port: int) -> None:
    names = Names(model_example=[["127.0.0.1"], ["169.254.169.254"]])
    transport = guarded_transport("private", resolver=names)
    with httpx2.Client(transport=transport, trust_env=False) as client:
        answer = client.get(f"http://model.example:{port}/")
    assert answer.text == f"model.example:{port}"  # the name is still what is asked for
    assert names.asked == 1


def test_a_redirect_is_checked_as_the_first_address_was(port: int) -> None:
    names = Names(model_example=[["127.0.0.1"]], metadata_example=[["169.254.169.254"]])
    transport = guarded_transport("private", resolver=names)
    with (
        httpx2.Client(transport=transport, trust_env=False, follow_redirects=True) as client,
        pytest.raises(UnreachableError, match=r"169\.254\.169\.254"),
    ):
        client.get(f"http://model.example:{port}/away")


def test_only_named_hosts_are_asked(port: int) -> None:
    transport = guarded_transport("private", hosts=["Model.example"], resolver=lambda *_: ["127.0.0.1"])
    with httpx2.Client(transport=transport, trust_env=False) as client:
        assert client.get(f"http://model.example:{port}/").status_code == 200
        with pytest.raises(UnreachableError, match=r"allowed: model\.example"):
            client.get(f"http://other.example:{port}/")


def test_without_the_guard_the_same_request_arrives(port: int) -> None:
    with httpx2.Client(trust_env=False) as client:
        assert client.get(f"http://127.0.0.1:{port}/").status_code == 200
    with (
        httpx2.Client(transport=guarded_transport("public"), trust_env=False) as client,
        pytest.raises(UnreachableError, match="not a public address"),
    ):
        client.get(f"http://127.0.0.1:{port}/")


def test_the_asynchronous_client_is_guarded_too(port: int) -> None:
    async def ask(address: str) -> str:
        transport = guarded_async_transport("private", resolver=lambda *_: [address])
        async with httpx2.AsyncClient(transport=transport, trust_env=False) as client:
            return (await client.get(f"http://model.example:{port}/")).text

    assert run_aside(ask("127.0.0.1")) == f"model.example:{port}"
    with pytest.raises(UnreachableError, match="no service has"):
        run_aside(ask("169.254.169.254"))
