"""The Callcap API over HTTP."""

from __future__ import annotations

import socket
from datetime import timedelta
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import Route

from tap_callcap.sandbox.answers import Answer, NoAnswerError
from tap_callcap.sandbox.book import CallBook
from tap_callcap.sandbox.callcap import BASE_PATH, Callcap
from tap_callcap.sandbox.render import encode

if TYPE_CHECKING:
    from types import TracebackType

    from starlette.requests import Request
    from typing_extensions import Self

    from tap_callcap.sandbox.switches import Switches

LOOPBACK = "127.0.0.1"
_KEEP_ALIVE = 75  # seconds; uvicorn's default of 5 would close the connections of a slow client


class Advance(msgspec.Struct, forbid_unknown_fields=True):
    """The body of `POST /sandbox/advance`: the time to pass, and how much changes in it."""

    minutes: Annotated[float, msgspec.Meta(ge=0)] = 60
    new_calls: Annotated[int, msgspec.Meta(ge=0)] = 0
    edits: Annotated[int, msgspec.Meta(ge=0)] = 0


def app_over(callcap: Callcap) -> Starlette:
    """Return the web application: the API under /v2, and two paths for tests and demos.

    `POST /sandbox/advance` moves the clock on, `GET /sandbox/truth` lists all calls in UTC.
    """

    async def api(request: Request) -> Response:
        if request.method != "GET":
            return _response(
                Answer.of({"status": "error", "message": "Only GET is allowed"}, 405, Allow="GET")
            )
        params: dict[str, str] = {}
        for name, text in request.query_params.multi_items():
            params[name] = f"{params[name]},{text}" if name in params else text
        key = request.headers.get("authorization")
        try:
            return _response(await run_in_threadpool(callcap.answer, request.url.path, params, key))
        except NoAnswerError:
            while (await request.receive())["type"] != "http.disconnect":
                pass
            return Response(status_code=504)  # nobody is there to read it

    async def advance(request: Request) -> Response:
        body = await request.body()
        try:
            step = msgspec.json.decode(body or b"{}", type=Advance)
        except (msgspec.DecodeError, msgspec.ValidationError) as error:
            return _response(Answer.of({"status": "error", "message": str(error)}, 400))
        callcap.advance(
            timedelta(minutes=step.minutes),
            new_calls=step.new_calls,
            edits=step.edits,
        )
        now = callcap.now().replace(microsecond=0)
        return _response(
            Answer.of({"status": "success", "now": now, "calls": len(callcap.book)}),
        )

    def truth(_: Request) -> Response:
        callcap.live_on()
        return Response(encode(list(callcap.book)), media_type="application/json")

    return Starlette(
        routes=[
            Route(
                BASE_PATH + "/{rest:path}",
                api,
                methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
            ),
            Route("/sandbox/advance", advance, methods=["POST"]),
            Route("/sandbox/truth", truth),
        ],
    )


def server_for(callcap: Callcap) -> uvicorn.Server:
    """Return a server that logs nothing and leaves the `Date` header to the API."""
    return uvicorn.Server(
        uvicorn.Config(
            app_over(callcap),
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="off",
            log_config=None,
            log_level="critical",
            access_log=False,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE,
            timeout_graceful_shutdown=1,
        ),
    )


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens at an address; OSError if the address is in use."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Only where TCP is named does asyncio send a small answer at once, not 40 ms later.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class Sandbox:
    """A context manager that serves the API at `url`, on a free local port."""

    def __init__(self, callcap: Callcap | CallBook, *, switches: Switches | None = None) -> None:
        """Serve a Callcap, or a new one over a book; `switches`, if given, are set on it."""
        if isinstance(callcap, CallBook):
            callcap = Callcap(callcap, switches=switches)
        elif switches is not None:
            callcap.switches = switches
        self.callcap = callcap
        self.book = callcap.book
        self.url = ""
        """The address for the tap's `api_url`; empty outside the with block."""

    def __enter__(self) -> Self:
        """Start serving."""
        self._listener = listening(LOOPBACK, 0)
        self._server = server_for(self.callcap)
        self._thread = Thread(
            target=self._server.run,
            kwargs={"sockets": [self._listener]},
            name="callcap-sandbox",
            daemon=True,
        )
        self._thread.start()
        self.url = f"http://{LOOPBACK}:{self._listener.getsockname()[1]}{BASE_PATH}"
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Stop serving."""
        self._server.should_exit = True
        self._thread.join()
        self._listener.close()
        self.url = ""


def _response(answer: Answer) -> Response:
    return Response(answer.body, status_code=answer.status, headers=dict(answer.headers))
