"""`facetag api`: the HTTP API in this process."""

import click

GRACE_S = 10
"""How long requests that are under way may take once the process is told to stop."""


@click.command()
@click.option("--host", help="Address to listen on; default FACETAG_API_HOST, else 127.0.0.1.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default FACETAG_API_PORT, else 8000.")
@click.option("--log-level", default="info", show_default=True, help="debug, info, warning, error.")
def api(host: str | None, port: int | None, log_level: str) -> None:
    """Run the HTTP API.

    It needs PostgreSQL, Redis and an S3 server (see the FACETAG_ settings), and no TensorFlow.
    Whoever reaches its port may use it: keep it on this machine or behind a proxy that asks who
    is there.

    \b
    Example:
      facetag api --port 8000
    """
    import uvicorn

    from facetag.log import configure_logging
    from facetag.settings import load_settings
    from facetag_api.app import create_app

    settings = load_settings()
    configure_logging(level=log_level)
    uvicorn.run(
        create_app(settings),
        host=host or settings.api_host,
        port=settings.api_port if port is None else port,
        # Our own request log says more in its one line.
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        # Who is asking is logged by the proxy, if there is one; its headers mean nothing to us.
        proxy_headers=False,
    )
