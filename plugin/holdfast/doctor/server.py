"""A model server on loopback that plays a script and records what it was asked."""

from __future__ import annotations

import json
import secrets
import threading
import time
import zlib
from contextlib import suppress
from dataclasses import asdict, dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Protocol

from holdfast.doctor.script import Script, Step, settled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from typing_extensions import Self

EVENTS = "text/event-stream"
JSON = "application/json"


@dataclass(frozen=True)
class Answer:
    """What goes back to the CLI."""

    body: bytes
    content_type: str = JSON
    status: int = 200


class Api(Protocol):
    """How one API's requests read and what it answers; each module of this package that speaks an API has these.

    SUMMARY is what stands for a conversation that was compacted, in the form that the CLI asks for.
    """

    SUMMARY: str

    def sort(self, method: str, path: str, body: Any) -> str:
        """`turn` for the agent's own request, `compaction` where a summary is asked for, `aside` for all else."""

    def opening(self, body: Any) -> str:
        """All that the user says in the request's conversation."""

    def answer(self, path: str, body: Any, step: Step, number: str) -> Answer:
        """Answer a turn with a step; `number` is one that no other answer has, of this server or another."""

    def aside(self, method: str, path: str, body: Any) -> Answer:
        """Answer harmlessly what is no turn: titles, token counts, lists of models."""


@dataclass(frozen=True)
class Request:
    """One request as it came.

    Attributes:
        method: of HTTP.
        path: with its query.
        body: parsed if it was JSON, else text.
        sort: `main`, `agent` or `beyond` for a turn by whose step answered it, `compaction`, or `aside`.
        at: when it came, in Unix time.
    """

    method: str
    path: str
    body: Any
    sort: str
    at: float


class ModelServer:
    """Serves one API on a free port of 127.0.0.1; a context manager.

    Args:
        api: the module of the API.
        steps: what the model does, one step a turn. When they are used up it says "Done.".

    Attributes:
        requests: all that came, in the order of their answers.
    """

    def __init__(self, api: Api, steps: Sequence[Step]) -> None:
        self.requests: list[Request] = []
        self._api = api
        self._own = secrets.token_hex(8)  # a resumed session must not see an id of its earlier calls again
        self._script = Script(tuple(steps))
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._http.daemon_threads = True
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)

    @property
    def url(self) -> str:
        """The server's address, without a slash at its end."""
        return f"http://127.0.0.1:{self._http.server_address[1]}"

    @property
    def left(self) -> int:
        """Steps of the script that were not asked for."""
        return self._script.left

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def record(self) -> list[dict[str, Any]]:
        """The requests as JSON can hold them."""
        with self._lock:
            return [asdict(request) for request in self.requests]

    def handle(self, method: str, path: str, body: Any) -> Answer:
        """Answer one request and keep it."""
        sort, at = self._api.sort(method, path, body), time.time()
        with self._lock:
            number = f"{self._own}{len(self.requests):04}"
            if sort == "aside":
                answer = self._api.aside(method, path, body)
            elif sort == "compaction":
                answer = self._api.answer(path, body, Step(self._api.SUMMARY), number)
            else:
                step, sort = self._script.next(self._api.opening(body))
                answer = self._api.answer(path, body, settled(step, body), number)
            self.requests.append(Request(method, path, body, sort, at))
        return answer


def _handler(server: ModelServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _answer(self) -> None:
            with suppress(ConnectionError):  # the CLI may give up a request
                data = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                answer = server.handle(self.command, self.path, _parsed(data, self.headers.get("Content-Encoding")))
                self.send_response(answer.status)
                self.send_header("Content-Type", answer.content_type)
                self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(answer.body)

        do_GET = do_POST = do_HEAD = do_PUT = do_DELETE = _answer  # noqa: N815  the base class looks for these

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class names it so
            """Say nothing: stderr is the CLI's."""

    return Handler


def _parsed(data: bytes, encoding: str | None) -> Any:
    if encoding == "gzip":
        data = zlib.decompress(data, wbits=31)
    try:
        return json.loads(data)
    except ValueError:
        return data.decode("utf-8", "replace")


def to_json(value: Any, status: int = 200) -> Answer:
    """An answer in JSON."""
    return Answer(json.dumps(value).encode(), JSON, status)


def events(values: Sequence[dict[str, Any]], *, named: bool) -> Answer:
    """An answer as server-sent events; `named` gives each its `type` as the event's name."""
    lines = []
    for value in values:
        name = f"event: {value['type']}\n" if named else ""
        lines.append(f"{name}data: {json.dumps(value)}\n\n")
    return Answer("".join(lines).encode(), EVENTS)


def texts(value: Any) -> list[str]:
    """Every string under a `text` or `content` key in a message, however deep."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, list):
        return [one for item in value for one in texts(item)]
    if isinstance(value, dict):
        return [one for key in ("text", "content", "parts") if key in value for one in texts(value[key])]
    return []
