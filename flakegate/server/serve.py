"""`flakegate serve`: the store over HTTP, in the protocol of Flaky Test Management."""

from __future__ import annotations

import ipaddress
import os
import socket
import time
from typing import TYPE_CHECKING

import click

from flakegate.backends.store.address import store_location
from flakegate.ci.clock import clock
from flakegate.errors import ExitCode, UsageError
from flakegate.server import keyring, options

if TYPE_CHECKING:
    from starlette.applications import Starlette

    from flakegate.backends.store.database import Database

PORT = 8126
GRACE = 10  # seconds for requests under way when the server is told to stop
MOST_AT_ONCE = 1_000  # connections


@click.command("serve")
@options.store
@click.option(
    "--host",
    metavar="ADDRESS",
    default="127.0.0.1",
    show_default=True,
    help="Where to listen. Any address but one of this machine alone needs keys.",
)
@click.option(
    "--port",
    metavar="N",
    type=click.IntRange(0, 65535),
    default=PORT,
    show_default=True,
    help="0: any that is free.",
)
@click.option(
    "--rate-from",
    type=click.Choice(["default_branch", "all"]),
    default="default_branch",
    show_default=True,
    help="Which runs the failure rate counts, as store.rate_from in a policy.",
)
@click.option(
    "--rate-limit",
    metavar="N",
    type=click.IntRange(min=1),
    default=6_000,
    show_default=True,
    help="Requests a minute of one pair of keys.",
)
@click.option("-q", "--quiet", is_flag=True, help="Log trouble only, and no requests.")
def command(  # noqa: PLR0913 - as many parameters as there are options
    *,
    store_url: str | None,
    host: str,
    port: int,
    rate_from: str,
    rate_limit: int,
    quiet: bool,
) -> int:
    """Serve the store to other machines, in the protocol of Datadog's Flaky Test Management.

    Clients need no more than an address: `--backend datadog --api-url http://HOST:PORT`, and keys
    from `flakegate keys add`. Needs the extra `server`: pip install 'flakegate[server]'.
    """
    _need_extra()
    from flakegate.backends.store.database import open_database
    from flakegate.server.app import log_line

    url = store_location(store_url, os.environ)
    address = _address(host, port)
    guarded = keyring.read(keyring.keys_path(url)) is not None
    local = ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
    if not local and not keyring.read(keyring.keys_path(url)):
        raise UsageError(
            f"at {host} other machines reach this server, and nobody has keys to it",
            tip="`flakegate keys add NAME` makes the first; or leave out --host",
        )
    database = open_database(url, write=True, warn=lambda text: log_line(f"warning: {text}"))
    listening = _listen(address)
    app = _app(
        database,
        url,
        rate_from=rate_from,
        rate_limit=rate_limit,
        quiet=quiet,
        open_without=not guarded,
    )
    bound = listening.getsockname()
    shown = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
    keys = "" if guarded else ", without keys, for whoever is on this machine"
    log_line(f"serving {database.place} at http://{shown}:{bound[1]}{keys}; Ctrl-C stops it")
    _run(app, listening)
    log_line("stopped")
    return ExitCode.PASSED


def _need_extra() -> None:
    try:
        import starlette  # noqa: F401
        import uvicorn  # noqa: F401
    except ImportError as error:
        raise UsageError(
            f"`flakegate serve` needs {error.name}, which is not installed",
            tip="pip install 'flakegate[server]'",
        ) from None


def _address(host: str, port: int) -> tuple[str, int]:
    """The numeric address. Raises UsageError."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or "it is not an address"
        raise UsageError(
            f"cannot listen at {host!a}: {why}",
            tip="give an address of this machine to --host, such as 127.0.0.1",
        ) from None
    return str(found[4][0]), port


def _listen(address: tuple[str, int]) -> socket.socket:
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    try:
        listening = socket.create_server(address, family=family, backlog=2048)
        # Of a socket that it is given, asyncio does not do this itself: answers came 40 ms late.
        listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {address[0]} port {address[1]}: {os.strerror(error.errno or 0)}",
            tip="stop what listens there, or take another --port",
        ) from None
    return listening


def _app(  # noqa: PLR0913 - each is a fact of the call, and a keyword
    database: Database,
    url: str,
    *,
    rate_from: str,
    rate_limit: int,
    quiet: bool,
    open_without: bool,
) -> Starlette:
    from flakegate.server.admission import Doorkeeper
    from flakegate.server.app import Server, log_line
    from flakegate.server.holdings import Holdings
    from flakegate.server.limits import Limits

    fixed = clock(os.environ)
    server = Server(
        holdings=Holdings(
            database, clock=time.time if fixed is None else lambda: fixed, rate_from=rate_from
        ),
        door=Doorkeeper(keyring.keys_path(url), open_without=open_without),
        limits=Limits(limit=rate_limit),
        steady=time.monotonic,
        log=log_line,
        log_access=(lambda _: None) if quiet else log_line,
    )
    return server.app()


def _run(app: Starlette, listening: socket.socket) -> None:
    """Until a signal asks for the end; requests under way are answered first."""
    import uvicorn

    from flakegate.server.connection import Connection

    config = uvicorn.Config(
        app,
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="off",
        loop="asyncio",
        http=Connection,
        ws="none",
        limit_concurrency=MOST_AT_ONCE,
        timeout_graceful_shutdown=GRACE,
    )
    try:
        uvicorn.Server(config).run(sockets=[listening])
    except KeyboardInterrupt:  # uvicorn passes the signal on after it has stopped
        return
