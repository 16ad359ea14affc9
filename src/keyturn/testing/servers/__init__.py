"""Private database servers for tests: made of the programs on this machine, gone at the end of the block.

```python
from keyturn.testing.servers import PostgresServer

with PostgresServer() as server:
    store = MyStore.connect(server.new_database())
```

Each listens on a free port of 127.0.0.1, keeps its data in a folder of its own and has a password that only
its URL tells. They neither need nor touch a server that runs on the machine already. Killing one
(`server.kill()`) loses nothing that it had acknowledged; a power cut would, because for speed they do not
wait for the disk: `options` sets that and anything else.

This module knows no store.
"""

from __future__ import annotations

from keyturn.testing.servers.cluster import RedisCluster
from keyturn.testing.servers.mariadb import MariaDBServer
from keyturn.testing.servers.postgres import PostgresServer
from keyturn.testing.servers.process import ServerFailed, ServerMissing
from keyturn.testing.servers.redis import RedisSentinel, RedisServer

__all__ = [
    "MariaDBServer",
    "PostgresServer",
    "RedisCluster",
    "RedisSentinel",
    "RedisServer",
    "ServerFailed",
    "ServerMissing",
]
