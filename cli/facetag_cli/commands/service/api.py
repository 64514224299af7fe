"""Run the HTTP API in this process (`facetag api`)."""

import click

GRACE_S = 10
"""How long open requests may take once the process is told to stop."""
CANNOT_START = 3
"""The exit status that uvicorn itself has for a server that could not start."""


@click.command()
@click.option("--host", help="Address to listen on. Default: FACETAG_API_HOST, else 127.0.0.1.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Port to listen on. Default: FACETAG_API_PORT, else 8000.",
)
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"], case_sensitive=False),
    default="info",
    show_default=True,
    help="Lowest level that is logged.",
)
def api(host: str | None, port: int | None, log_level: str) -> None:
    """Run the HTTP API.

    The API needs PostgreSQL, Redis and an S3 server, which the FACETAG_ settings name. It needs no
    TensorFlow. Every request needs a key: `facetag keys create` makes one. Put a proxy with TLS in
    front of an address that other machines reach.

    \b
    Example:
      facetag api --port 8000
    """
    import sys
    from contextlib import suppress

    import uvicorn

    from facetag.log import configure_logging
    from facetag.settings import load_settings
    from facetag_api.app import create_app
    from facetag_api.bounded_protocol import BoundedProtocol

    settings = load_settings()
    configure_logging(level=log_level)
    app = create_app(settings)
    config = uvicorn.Config(
        app,
        http=BoundedProtocol,
        host=host or settings.api_host,
        port=settings.api_port if port is None else port,
        # Our own request log has more in its one line.
        access_log=False,
        # uvicorn would read WEB_CONCURRENCY, and refuse to start workers of an app in memory.
        workers=1,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        # A proxy logs its clients itself; we do not read its headers.
        proxy_headers=False,
    )
    server = uvicorn.Server(config)
    # Followers of a job would otherwise hold the process until the grace has passed.
    app.state.stopping = lambda: server.should_exit
    with suppress(KeyboardInterrupt):
        server.run()
    if not server.started:
        sys.exit(CANNOT_START)
