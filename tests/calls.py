"""The same call through each client library: what holds for one of them is tested for all."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple, TypeVar

import httpx
import pytest
import requests

import comfystub

URL = "http://comfy.test:8188"


class Answer(NamedTuple):
    status: int
    text: str


T = TypeVar("T")
Get = Callable[[str], Answer]

# Built before any stub is in force, as the clients of an application are.
CLIENT = httpx.Client(verify=False)
TRANSPORT = httpx.AsyncHTTPTransport(verify=False)
SESSION = requests.Session()


def in_thread(function: Callable[..., T], *arguments: Any) -> T:
    """Call a function in a thread of its own, where no other test has left an event loop."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(function, *arguments).result()


def httpx_get(url: str) -> Answer:
    response = CLIENT.get(url)
    return Answer(response.status_code, response.text)


def httpx_async_get(url: str) -> Answer:
    async def get() -> httpx.Response:
        async with httpx.AsyncClient(transport=TRANSPORT) as client:
            return await client.get(url)

    response = in_thread(asyncio.run, get())
    return Answer(response.status_code, response.text)


def requests_get(url: str) -> Answer:
    response = SESSION.get(url)
    return Answer(response.status_code, response.text)


GETS: tuple[Get, ...] = (httpx_get, httpx_async_get, requests_get)
#: What each of them raises when it does not get through.
CONNECTION_ERRORS = (httpx.ConnectError, httpx.ConnectError, requests.ConnectionError)

each_client = pytest.mark.parametrize("get", GETS, ids=lambda get: get.__name__)


def named(name: str, *urls: str, **options: Any) -> Any:
    """A ``patch()`` whose server can be told from others."""
    return comfystub.patch(list(urls) or URL, models={"checkpoints": [name]}, **options)


def who(url: str = URL, get: Get = httpx_get) -> str:
    """The name of the server that answers at a URL, or the status that comes in its place."""
    status, text = get(f"{url}/models/checkpoints")
    return text[2:-2] if status == 200 else str(status)
