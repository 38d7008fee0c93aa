"""What patch() changes in the client libraries, and that it is put back, whoever else patches them."""

from __future__ import annotations

import contextlib
import functools
import gc
import importlib.util
import inspect
import itertools
import subprocess
import sys
import threading
import types
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import httpx
import pytest
import requests
import requests.adapters
import responses
import respx
from calls import CLIENT, GETS, URL, Get, httpx_get, named, requests_get, who
from network import NetworkUsed

import comfystub

SEAMS: dict[str, tuple[type, str, Get]] = {
    "httpx": (httpx.HTTPTransport, "handle_request", GETS[0]),
    "httpx async": (httpx.AsyncHTTPTransport, "handle_async_request", GETS[1]),
    "requests": (requests.adapters.HTTPAdapter, "send", GETS[2]),
}
PRISTINE = {name: vars(owner)[attribute] for name, (owner, attribute, _) in SEAMS.items()}

each_seam = pytest.mark.parametrize("seam", SEAMS)


def current(seam: str) -> Any:
    owner, attribute, _ = SEAMS[seam]
    return vars(owner)[attribute]


def is_pristine(seam: str) -> bool:
    return current(seam) is PRISTINE[seam]


@pytest.fixture(autouse=True)
def _everything_is_put_back() -> Iterator[None]:
    before = list(sys.meta_path)
    yield
    for get in GETS:
        with pytest.raises(NetworkUsed):
            get(URL)
    assert all(map(is_pristine, SEAMS))
    assert sys.meta_path == before


def test_the_library_is_as_it_came() -> None:
    assert PRISTINE["httpx"].__code__.co_filename.startswith(httpx.__path__[0])
    assert PRISTINE["httpx async"].__code__.co_filename.startswith(httpx.__path__[0])
    assert PRISTINE["requests"].__code__.co_filename.startswith(requests.__path__[0])


@each_seam
def test_a_hook_looks_like_what_it_stands_for(seam: str) -> None:
    with comfystub.patch(URL):
        hook = current(seam)
        assert hook is not PRISTINE[seam]
        assert hook.__wrapped__ is PRISTINE[seam]
        assert (hook.__name__, hook.__doc__) == (PRISTINE[seam].__name__, PRISTINE[seam].__doc__)
        assert inspect.iscoroutinefunction(hook) == inspect.iscoroutinefunction(PRISTINE[seam])


@each_seam
def test_nested_stubs_share_a_hook(seam: str) -> None:
    with named("a"):
        hook = current(seam)
        with named("b"):
            assert current(seam) is hook
        assert current(seam) is hook


# --- beside other patchers: each puts something in the attribute's place and puts back what was there

Patcher = contextlib.AbstractContextManager[Any]


def replacement(seam: str) -> Any:
    """What a suite puts in place of the attribute: it answers 299 to everything."""
    if seam == "requests":

        def send(self: Any, request: requests.PreparedRequest, **_: Any) -> requests.Response:
            response = requests.Response()
            response.status_code, response.url, response._content = 299, str(request.url), b""
            return response

        return send
    if seam == "httpx":
        return lambda self, request: httpx.Response(299)

    async def handle(self: Any, request: httpx.Request) -> httpx.Response:
        return httpx.Response(299)

    return handle


class Proxy:
    """A transparent wrapper, as tracing libraries put around functions: it shows all that is inside."""

    def __init__(self, wrapped: Any) -> None:
        self.wrapped = wrapped

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.wrapped(*arguments, **options)

    def __get__(self, instance: Any, owner: Any) -> Any:
        return types.MethodType(self, instance)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.wrapped, name)

    def __eq__(self, other: object) -> bool:
        return bool(self.wrapped == other)

    def __hash__(self) -> int:
        return hash(self.wrapped)


def wrapper(function: Any) -> Any:
    @functools.wraps(function)
    def passes_on(*arguments: Any, **options: Any) -> Any:
        return function(*arguments, **options)

    return passes_on


def mocked(seam: str) -> Patcher:
    owner, attribute, _ = SEAMS[seam]
    return mock.patch.object(owner, attribute, replacement(seam))


@contextlib.contextmanager
def wrapped(seam: str, wrap: Callable[[Any], Any] = wrapper) -> Iterator[None]:
    owner, attribute, _ = SEAMS[seam]
    before = vars(owner)[attribute]
    setattr(owner, attribute, wrap(before))
    yield
    setattr(owner, attribute, before)


PATCHERS: dict[str, Callable[[str], Patcher]] = {
    "a mock": mocked,
    "a wrapper": wrapped,
    "a proxy": functools.partial(wrapped, wrap=Proxy),
}


def orders(names: str) -> list[tuple[str, ...]]:
    """Every order in which each of them enters and, somewhere later, leaves."""
    return sorted(set(itertools.permutations(names * 2)))


def is_nested(order: tuple[str, ...], among: str) -> bool:
    """Whether these of them leave as context managers do: the last in is the first out."""
    inside: list[str] = []
    for name in order:
        if name in among:
            if name in inside and inside[-1] != name:
                return False
            inside.remove(name) if name in inside else inside.append(name)
    return True


def answer(get: Get) -> str:
    try:
        return who(get=get)
    except NetworkUsed:
        return "network"


def play(order: tuple[str, ...], makers: dict[str, Callable[[], Patcher]]) -> Iterator[list[str]]:
    """Enter and leave in this order; yields who is inside after each step, outermost first."""
    inside: dict[str, Patcher] = {}
    for name in order:
        if name in inside:
            inside.pop(name).__exit__(None, None, None)
        else:
            inside[name] = makers[name]()
            inside[name].__enter__()
        yield list(inside)


@each_seam
@pytest.mark.parametrize("kind", PATCHERS)
@pytest.mark.parametrize("heal", ["by the next call", "by the next patch"])
def test_whatever_the_order_all_is_put_back(seam: str, kind: str, heal: str) -> None:
    get = SEAMS[seam][2]
    makers: dict[str, Any] = {
        "p": lambda: named("p"),
        "q": lambda: named("q"),
        "m": lambda: PATCHERS[kind](seam),
    }
    for order in orders("pqm"):
        for _ in play(order, makers):
            pass
        if heal == "by the next call":
            assert answer(get) == "network", order
        else:
            with comfystub.patch(URL):
                pass
        assert is_pristine(seam), order


@pytest.mark.parametrize(
    ("seam", "kind"),
    [*itertools.product(["httpx", "requests"], PATCHERS), ("httpx async", "a mock")],
)
def test_whatever_the_order_calls_on_the_way_do_no_harm(seam: str, kind: str) -> None:
    get = SEAMS[seam][2]
    makers: dict[str, Any] = {
        "p": lambda: named("p"),
        "q": lambda: named("q"),
        "m": lambda: PATCHERS[kind](seam),
    }
    for order in orders("pqm"):
        for inside in play(order, makers):
            # What a patcher put back on its way out may hide a stub, but never bring one back.
            assert answer(get) in {"network", *("299" if name == "m" else name for name in inside)}, order
        assert is_pristine(seam), order


@each_seam
@pytest.mark.parametrize("kind", PATCHERS)
def test_all_is_put_back_around_two_others_that_nest(seam: str, kind: str) -> None:
    get = SEAMS[seam][2]
    makers: dict[str, Any] = {
        "p": lambda: named("p"),
        "m": lambda: PATCHERS[kind](seam),
        "n": lambda: mocked(seam),
    }
    for order in orders("pmn"):
        if is_nested(order, "mn"):
            for _ in play(order, makers):
                pass
            assert answer(get) == "network", order
            assert is_pristine(seam), order


@each_seam
def test_of_patchers_that_nest_the_innermost_answers(seam: str) -> None:
    get = SEAMS[seam][2]
    makers: dict[str, Any] = {
        "p": lambda: named("p"),
        "q": lambda: named("q"),
        "m": lambda: mocked(seam),
        "w": lambda: wrapped(seam),
    }
    for order in orders("pqm") + orders("pmw"):
        if is_nested(order, "pqmw"):
            for inside in play(order, makers):
                answering = ["network", *("299" if name == "m" else name for name in inside if name != "w")]
                assert answer(get) == answering[-1], (order, inside)


@each_seam
@pytest.mark.parametrize("wrap", [wrapper, Proxy])
def test_a_wrapper_around_a_hook_is_left_to_its_owner(seam: str, wrap: Callable[[Any], Any]) -> None:
    get = SEAMS[seam][2]
    with contextlib.ExitStack() as inner:
        with named("it"):
            inner.enter_context(wrapped(seam, wrap))
            mine = current(seam)
            assert who(get=get) == "it"
        assert current(seam) is mine
        assert answer(get) == "network"
        assert current(seam) is mine
        with named("another"):
            assert who(get=get) == "another"
        assert current(seam) is mine
    assert answer(get) == "network"


@each_seam
def test_a_hook_that_was_put_back_by_others_falls_through(seam: str) -> None:
    owner, attribute, get = SEAMS[seam]
    with comfystub.patch(URL):
        hook = current(seam)
    setattr(owner, attribute, hook)
    assert answer(get) == "network"
    assert is_pristine(seam)


@each_seam
def test_a_hook_that_others_hold_on_to_works_as_the_original(seam: str) -> None:
    owner, attribute, get = SEAMS[seam]
    with comfystub.patch(URL):
        hook = current(seam)
    with mock.patch.object(owner, attribute, lambda *args, **options: hook(*args, **options)):
        for _ in range(2):
            assert answer(get) == "network"
        with named("it"):
            assert who(get=get) == "it"
        assert answer(get) == "network"


def test_an_autospec_of_a_hook_is_no_hook() -> None:
    with comfystub.patch(URL):
        with mock.patch.object(requests.adapters.HTTPAdapter, "send", autospec=True) as send:
            send.return_value = replacement("requests")(None, requests.Request("GET", URL).prepare())
            with named("inner"):
                assert who(get=requests_get) == "inner"
            assert requests_get(URL).status == 299
        assert requests_get(f"{URL}/queue").status == 200


# --- beside respx and responses


def respx_with(mocker: str) -> Any:
    router = respx.mock(using=mocker, assert_all_called=False)
    router.route(host="comfy.test").respond(299)
    return router


def responses_mock() -> Any:
    made = responses.RequestsMock(assert_all_requests_are_fired=False)
    made.add(responses.GET, f"{URL}/models/checkpoints", status=299)
    return made


@pytest.mark.parametrize(
    ("others", "get"),
    [
        (lambda: respx_with("httpcore"), GETS[0]),
        (lambda: respx_with("httpcore"), GETS[1]),
        (lambda: respx_with("httpx"), GETS[0]),
        (lambda: respx_with("httpx"), GETS[1]),
        (responses_mock, GETS[2]),
    ],
    ids=["respx httpcore", "respx httpcore async", "respx httpx", "respx httpx async", "responses"],
)
def test_all_is_put_back_beside_respx_and_responses(others: Callable[[], Any], get: Get) -> None:
    makers: dict[str, Any] = {"p": lambda: named("p"), "q": lambda: named("q"), "m": others}
    for order in orders("pqm"):
        for inside in play(order, makers):
            allowed = {"network", *("299" if name == "m" else name for name in inside)}
            assert answer(get) in allowed, order
        assert answer(get) == "network", order
        assert all(map(is_pristine, SEAMS)), order


def test_respx_mocks_what_the_stub_leaves() -> None:
    for outer, inner in ((named("it"), respx.mock), (respx.mock, named("it"))):
        with outer, inner:
            respx.get("http://elsewhere.test/x").respond(201)
            assert who() == "it"
            assert httpx_get("http://elsewhere.test/x").status == 201


def test_responses_outside_mocks_what_the_stub_leaves() -> None:
    with responses.RequestsMock() as mocked, named("it"):
        mocked.add(responses.GET, "http://elsewhere.test/x", status=201)
        assert who(get=requests_get) == "it"
        assert requests_get("http://elsewhere.test/x").status == 201


def test_what_responses_passes_on_reaches_the_real_thing(echo_url: str) -> None:
    with named("it"):
        with responses.RequestsMock() as mocked:
            mocked.add_passthru(echo_url)
            assert requests_get(f"{echo_url}/x") == (200, "GET /x ")


# --- clients that were there before, and ones that come


def test_clients_that_were_built_before_are_caught() -> None:
    with httpx.Client(verify=False) as client, requests.Session() as session:
        with named("it"):
            assert client.get(f"{URL}/models/checkpoints").json() == ["it"]
            assert session.get(f"{URL}/models/checkpoints").json() == ["it"]


async def test_an_async_client_that_was_built_before_is_caught() -> None:
    async with httpx.AsyncClient(verify=False) as client:
        async with named("it"):
            assert (await client.get(f"{URL}/models/checkpoints")).json() == ["it"]


def test_clients_that_were_built_inside_live_on() -> None:
    with named("it"):
        client, session = httpx.Client(verify=False), requests.Session()
        assert client.get(f"{URL}/models/checkpoints").json() == ["it"]
        assert session.get(f"{URL}/models/checkpoints").json() == ["it"]
    for get in (client.get, session.get):
        with pytest.raises(NetworkUsed):
            get(URL)


def test_a_bound_method_that_was_taken_inside_works_on() -> None:
    transport = httpx.HTTPTransport(verify=False)
    request = httpx.Request("GET", f"{URL}/queue")
    with comfystub.patch(URL):
        handle = transport.handle_request
        assert handle(request).status_code == 200
    with pytest.raises(NetworkUsed):
        handle(request)
    with comfystub.patch(URL):
        assert handle(request).status_code == 200


def test_another_thread_is_caught_too() -> None:
    statuses = []
    with comfystub.patch(URL):
        thread = threading.Thread(target=lambda: statuses.append(CLIENT.get(f"{URL}/queue").status_code))
        thread.start()
        thread.join()
    assert statuses == [200]


def test_calls_while_stubs_come_and_go_are_caught_by_the_one_that_stays() -> None:
    over = threading.Event()

    def come_and_go() -> None:
        while not over.is_set():
            with comfystub.patch("http://other.test:1"):
                pass

    threads = [threading.Thread(target=come_and_go) for _ in range(2)]
    with named("stays"):
        for thread in threads:
            thread.start()
        try:
            assert {who(get=get) for get in (httpx_get, requests_get) for _ in range(100)} == {"stays"}
        finally:
            over.set()
            for thread in threads:
                thread.join()


# --- libraries that come late, or are not what they seem


def python(code: str) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr


#: What an application may never load: client libraries, and what of the standard library takes its time.
HEAVY = {
    *("httpx", "httpcore", "h11", "respx", "requests", "urllib3", "responses", "aiohttp", "aiodns", "uvloop"),
    *("websocket", "websockets", "httpx_ws", "anyio", "trio", "PIL", "asyncio", "ssl", "http.client"),
}


@pytest.mark.parametrize(
    "code",
    [
        "import comfystub",
        "import comfystub; comfystub.patch, comfystub.Stub, comfystub.current",
        "import comfystub\nwith comfystub.patch() as stub: stub.jobs, stub.requests, stub.urls",
        "import comfystub\n@comfystub.patch\ndef f(comfy_stub): return comfy_stub.url\nf()",
    ],
)
def test_no_client_library_is_imported(code: str) -> None:
    python(f"import sys\n{code}\nloaded = {HEAVY} & set(sys.modules)\nassert not loaded, loaded")


LATE = """
import sys
import comfystub

def finders():
    return [finder for finder in sys.meta_path if "comfystub" in type(finder).__module__]

assert {module!r} not in sys.modules
with comfystub.patch("http://comfy.test:8188") as stub:
    assert len(finders()) == 1
    {imports}
    {call}
    assert len(stub.requests) == 1, stub.requests
    hooked = vars({owner})[{attribute!r}]
assert not finders()
module = sys.modules[{module!r}]
assert type(module.__loader__).__name__ == "SourceFileLoader", module.__loader__
assert module.__spec__.loader is module.__loader__
pristine = vars({owner})[{attribute!r}]
assert pristine is not hooked and hooked.__wrapped__ is pristine
assert pristine.__code__.co_filename.startswith(sys.modules[{module!r}.partition(".")[0]].__path__[0])
with comfystub.patch("http://comfy.test:8188") as stub:
    {call}
    assert len(stub.requests) == 1
assert vars({owner})[{attribute!r}] is pristine
"""


@pytest.mark.parametrize(
    ("module", "imports", "call", "owner", "attribute"),
    [
        (
            "httpx",
            "import httpx",
            "httpx.Client(verify=False).get('http://comfy.test:8188/queue').raise_for_status()",
            "httpx.HTTPTransport",
            "handle_request",
        ),
        (
            "httpx",
            "from httpx import AsyncClient; import httpx, asyncio",
            "asyncio.run(AsyncClient(verify=False).get('http://comfy.test:8188/queue')).raise_for_status()",
            "httpx.AsyncHTTPTransport",
            "handle_async_request",
        ),
        (
            "requests.adapters",
            "import requests, requests.adapters",
            "requests.get('http://comfy.test:8188/queue').raise_for_status()",
            "requests.adapters.HTTPAdapter",
            "send",
        ),
    ],
)
def test_a_library_that_is_imported_inside_the_block_is_caught(
    module: str, imports: str, call: str, owner: str, attribute: str
) -> None:
    python(LATE.format(module=module, imports=imports, call=call, owner=owner, attribute=attribute))


def test_a_library_that_is_imported_inside_an_inner_block_is_caught_in_the_outer_one_too() -> None:
    python(
        "import comfystub\n"
        "with comfystub.patch('http://comfy.test:8188') as stub:\n"
        "    with comfystub.patch('http://other.test:1') as other:\n"
        "        import requests\n"
        "        requests.get('http://other.test:1/queue').raise_for_status()\n"
        "    requests.get('http://comfy.test:8188/queue').raise_for_status()\n"
        "    assert len(stub.requests) == len(other.requests) == 1\n"
        "assert not hasattr(requests.adapters.HTTPAdapter.send, '__wrapped__')\n"
    )


def test_a_library_that_is_imported_before_the_package_is_caught() -> None:
    python(
        "import httpx\nfrom requests import get\nimport comfystub\n"
        "with comfystub.patch('http://comfy.test:8188') as stub:\n"
        "    assert httpx.Client(verify=False).get('http://comfy.test:8188/queue').status_code == 200\n"
        "    assert get('http://comfy.test:8188/queue').status_code == 200\n"
        "    assert len(stub.requests) == 2\n"
    )


def test_a_library_that_is_imported_anew_leaves_no_hook_on_the_old_one() -> None:
    python(
        "import sys, requests.adapters as old, comfystub\n"
        "before = vars(old.HTTPAdapter)['send']\n"
        "with comfystub.patch('http://comfy.test:8188') as stub:\n"
        "    for name in [name for name in sys.modules if name.startswith('requests')]: del sys.modules[name]\n"
        "    import requests, requests.adapters as new\n"
        "    assert new is not old\n"
        "    requests.get('http://comfy.test:8188/queue').raise_for_status()\n"
        "    assert len(stub.requests) == 1\n"
        "assert vars(old.HTTPAdapter)['send'] is before\n"
        "assert not hasattr(vars(new.HTTPAdapter)['send'], '__wrapped__')\n"
    )


def test_a_library_that_fails_to_import_fails_as_ever(tmp_path: Any) -> None:
    (tmp_path / "httpx.py").write_text("raise RuntimeError('broken')")
    python(
        f"import sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "import comfystub\n"
        "with comfystub.patch():\n"
        "    try: import httpx\n"
        "    except RuntimeError as error: assert str(error) == 'broken'\n"
        "    else: raise AssertionError\n"
        "    assert 'httpx' not in sys.modules\n"
    )


def test_looking_for_a_library_inside_the_block_finds_it() -> None:
    python(
        "import importlib.util, comfystub\n"
        "before = importlib.util.find_spec('httpx')\n"
        "with comfystub.patch():\n"
        "    inside = importlib.util.find_spec('httpx')\n"
        "    assert inside.origin == before.origin\n"
        "    assert inside.loader.get_filename('httpx') == before.loader.get_filename('httpx')\n"
        "    assert inside.loader.is_package('httpx')\n"
        "    assert importlib.util.find_spec('no_such_library') is None\n"
    )


@pytest.mark.parametrize(
    "stand_in",
    [
        None,
        mock.MagicMock(),
        types.ModuleType("httpx"),
        types.SimpleNamespace(HTTPTransport=type("T", (), {})),
    ],
)
def test_what_stands_in_for_a_library_is_left_alone(stand_in: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", stand_in)
    with named("it"):
        assert who(get=requests_get) == "it"


def test_a_mock_of_a_library_keeps_what_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = mock.MagicMock()
    stand_in.HTTPTransport.handle_request = mine = mock.sentinel.mine
    monkeypatch.setitem(sys.modules, "httpx", stand_in)
    with comfystub.patch(URL):
        assert stand_in.HTTPTransport.handle_request is mine


def test_responses_that_are_imported_inside_the_block_work_on_afterwards() -> None:
    python(
        "import comfystub, requests\n"
        "with comfystub.patch('http://comfy.test:8188'):\n"
        "    import responses\n"
        "from requests.adapters import HTTPAdapter\n"
        "pristine = HTTPAdapter.send\n"
        "with responses.RequestsMock() as mock:\n"
        "    mock.add_passthru('http://127.0.0.1:9')\n"
        "    try: requests.get('http://127.0.0.1:9/')\n"
        "    except requests.ConnectionError as error: assert 'Connection refused by Responses' not in str(error)\n"
        "    else: raise AssertionError\n"
        "assert HTTPAdapter.send is pristine\n"
    )


def test_hooks_and_stubs_are_not_kept() -> None:
    with named("a"), mocked("httpx"), named("b"):
        hooks = [current(seam) for seam in SEAMS]
    import weakref

    left = [weakref.ref(hook) for hook in hooks]
    del hooks
    gc.collect()
    assert [ref() for ref in left] == [None] * 3
    assert importlib.util.find_spec("httpx") is not None
