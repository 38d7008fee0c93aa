"""The contract with websocket-client, beside the sync libraries that know only HTTP."""

from __future__ import annotations

import threading
import time

import pytest
from calls import URL

pytest.importorskip("websocket")

import websocket

import comfystub
from contract import http_clients
from contract.clients import MOMENT, PATIENCE
from contract.over_websocket_client import App, CreateConnection, OverWebSocketClient, RecvData
from contract.scenarios import Contract


class Requests(http_clients.Requests, OverWebSocketClient):
    listener = CreateConnection


class RequestsWithRetry(http_clients.RequestsWithRetry, OverWebSocketClient):
    listener = App


class Urllib(http_clients.UrllibRequest, OverWebSocketClient):
    listener = RecvData


class HttpClient(http_clients.HttpClient, OverWebSocketClient):
    listener = CreateConnection


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
class TestRequests(Contract):
    client = Requests


@pytest.mark.filterwarnings("ignore::urllib3.exceptions.InsecureRequestWarning")
class TestRequestsWithRetryAndApp(Contract):
    client = RequestsWithRetry


class TestUrllibAndRecvData(Contract):
    client = Urllib


class TestHttpClient(Contract):
    client = HttpClient


def test_an_app_that_waits_is_closed() -> None:
    """Its thread sleeps in a selector, for ten seconds at a time, and is woken by the server's goodbye."""
    with comfystub.patch(URL):
        for _ in range(5):
            assert ends_when_closed(URL.replace("http", "ws") + "/ws")


def ends_when_closed(url: str) -> bool:
    """Whether an app's thread is over soon after its ``close()``."""
    opened = threading.Event()
    app = websocket.WebSocketApp(url, on_open=lambda app: opened.set())
    thread = threading.Thread(target=app.run_forever)
    thread.start()
    assert opened.wait(PATIENCE)
    time.sleep(MOMENT)
    app.close()
    thread.join(5)
    in_time = not thread.is_alive()
    thread.join()
    return in_time
