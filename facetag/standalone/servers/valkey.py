"""Run Valkey, which carries messages and stores nothing on disk: PostgreSQL is the truth."""

import signal

from facetag.standalone.credentials import write_private
from facetag.standalone.processes.environment import server_environment
from facetag.standalone.processes.process import Command
from facetag.standalone.servers.binaries import find_valkey
from facetag.standalone.servers.local_server import LocalServer
from facetag.standalone.servers.ports import LOOPBACK

# With full memory, Valkey must refuse new messages and never drop old ones.
CONFIGURATION = """\
bind {host}
port {port}
protected-mode yes
requirepass {password}
save ""
appendonly no
maxmemory-policy noeviction
daemonize no
"""


class Valkey(LocalServer):
    """Valkey on one loopback port, with a password."""

    title = "Valkey"
    port_count = 1

    def prepare(self) -> Command:
        """Write the configuration with the password, readable for the owner only."""
        program = find_valkey()
        path = self.folders.run / "valkey.conf"
        text = CONFIGURATION.format(
            host=LOOPBACK, port=self.ports[0], password=self.credentials.redis_password
        )
        write_private(path, text)
        return Command(
            name="valkey",
            arguments=[program, path],
            folder=self.folders.run,
            environment=server_environment(LC_ALL="C"),
            stop_signal=signal.SIGTERM,
            stop_timeout_s=5.0,
        )

    def is_ready(self) -> bool:
        """Return whether the server answers a ping with our password."""
        from redis import Redis
        from redis.exceptions import RedisError

        client = Redis.from_url(self.url, socket_timeout=1, socket_connect_timeout=1)
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()

    def clear_leftovers(self) -> None:
        """Do nothing: Valkey leaves no files."""

    @property
    def url(self) -> str:
        """The URL with the password."""
        return f"redis://:{self.credentials.redis_password}@{LOOPBACK}:{self.ports[0]}/0"

    def environment(self) -> dict[str, str]:
        """Return FACETAG_REDIS_URL."""
        return {"FACETAG_REDIS_URL": self.url}
