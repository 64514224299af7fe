"""Other machines for tests: network namespaces with addresses of their own, which can be cut off.

Needs root and `ip` (iproute2). The servers listen on loopback here, so a forwarder carries each
connection on from the address that the other machines see.
"""

import asyncio
import contextlib
import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import SecretStr
from sqlalchemy import make_url

from facetag.settings import Settings
from tests.integration.worker.harness import ROOT, environment

LOOPBACK = "127.0.0.1"
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 5,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 20_000,
}
"""A lost host is noticed within 20 s."""

_numbers = itertools.count(1)


def may_make_hosts() -> bool:
    """Return whether namespaces can be made here."""
    name = f"facetag-{os.getpid()}-try"
    try:
        _ip("netns", "add", name)
        _ip("netns", "delete", name)
    except (OSError, subprocess.CalledProcessError):
        return False
    return True


@dataclass
class Host:
    """A machine beside this one, reached by a link of its own."""

    name: str
    link: str
    here: str
    """Address of this machine on the link."""
    started: list["subprocess.Popen[bytes]"] = field(default_factory=list)

    def cut_off(self) -> None:
        """Let every packet vanish, as a broken switch does: no connection is closed."""
        _ip("link", "set", self.link, "down")

    def come_back(self) -> None:
        """Let packets through again."""
        _ip("link", "set", self.link, "up")

    def start_worker(
        self, settings: Settings, log: Path, *arguments: str, **variables: str
    ) -> "subprocess.Popen[bytes]":
        """Start a worker with the fake labeller there."""
        command = [sys.executable, "-m", "tests.integration.worker.fake_worker", *arguments]
        with log.open("ab") as file:
            process = subprocess.Popen(
                ["ip", "netns", "exec", self.name, *command],
                cwd=ROOT,
                env=os.environ | environment(self.seen(settings)) | variables,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        self.started.append(process)
        return process

    def lose(self) -> None:
        """Kill all that runs there, without a word to anybody: its link is cut before."""
        self.cut_off()
        for process in self.started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def seen(self, settings: Settings) -> Settings:
        """Return the settings that lead from there to the servers here."""
        redis = settings.require("redis_url").replace(LOOPBACK, self.here)
        database = make_url(settings.require("database_url")).set(host=self.here)
        return settings.model_copy(
            update={
                "database_url": SecretStr(database.render_as_string(hide_password=False)),
                "redis_url": SecretStr(redis),
                "s3_endpoint_url": settings.require("s3_endpoint_url").replace(LOOPBACK, self.here),
            }
        )


@contextmanager
def hosts(number: int, settings: Settings) -> Iterator[list[Host]]:
    """Make hosts that reach the servers of `settings`; all of them are removed at the end."""
    ports = sorted(
        int(make_url(settings.require(field)).port or 0)
        for field in ("database_url", "redis_url", "s3_endpoint_url")
    )
    with contextlib.ExitStack() as cleanup:
        made = [_make_host(cleanup) for _ in range(number)]
        for host in made:
            cleanup.enter_context(_forwarding(host.here, ports))
            cleanup.callback(host.lose)
        yield made


def _make_host(cleanup: contextlib.ExitStack) -> Host:
    count = next(_numbers)
    name = f"facetag-{os.getpid()}-{count}"
    link = f"ft{os.getpid() % 100_000}x{count}"
    network = f"10.213.{os.getpid() % 64}.{4 * count}"
    here, there = (f"{network.rpartition('.')[0]}.{4 * count + last}" for last in (1, 2))
    _ip("netns", "add", name)
    cleanup.callback(_ip, "netns", "delete", name)
    _ip("link", "add", link, "type", "veth", "peer", "name", "uplink", "netns", name)
    _ip("addr", "add", f"{here}/30", "dev", link)
    _ip("link", "set", link, "up")
    for words in (
        ("link", "set", "lo", "up"),
        ("addr", "add", f"{there}/30", "dev", "uplink"),
        ("link", "set", "uplink", "up"),
    ):
        _ip("-n", name, *words)
    return Host(name, link, here)


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True, capture_output=True)


@contextmanager
def _forwarding(address: str, ports: list[int]) -> Iterator[None]:
    """Carry connections to an address of ours on to the same ports on loopback."""
    loop = asyncio.new_event_loop()
    opened = threading.Event()

    async def serve() -> None:
        for port in ports:
            await asyncio.start_server(
                lambda reader, writer, port=port: _carry(reader, writer, port), address, port
            )
        opened.set()

    def run() -> None:
        asyncio.set_event_loop(loop)
        loop.run_until_complete(serve())
        loop.run_forever()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert opened.wait(10), "the forwarder did not open its ports"
    try:
        yield
    finally:
        asyncio.run_coroutine_threadsafe(_end_tasks(), loop).result(10)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)


async def _end_tasks() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
    # A server that is reached directly notices a lost host by itself (facetag.db.engine).
    peer = writer.get_extra_info("socket")
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        peer.setsockopt(socket.IPPROTO_TCP, option, value)
    onward_reader, onward_writer = await asyncio.open_connection(LOOPBACK, port)
    await asyncio.gather(
        _pump(reader, onward_writer), _pump(onward_reader, writer), return_exceptions=True
    )


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
    finally:
        with contextlib.suppress(OSError):
            writer.close()
