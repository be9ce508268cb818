"""datasette over a database of employees, which whoever started it writes."""

import json
import os
import socket
import sqlite3
import sys
import threading

import uvicorn
from datasette.app import Datasette


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(0)


threading.Thread(target=_end_with_parent, daemon=True).start()
with sqlite3.connect("hr.db") as database:
    database.execute("CREATE TABLE employees (id INTEGER PRIMARY KEY, login TEXT, name TEXT, status TEXT, title TEXT)")
database.close()
listening = socket.create_server(("127.0.0.1", 0))
sys.stdout.write(json.dumps({"url": f"http://127.0.0.1:{listening.getsockname()[1]}", "token": ""}) + "\n")
sys.stdout.flush()
server = uvicorn.Server(uvicorn.Config(Datasette(["hr.db"]).app(), log_level="critical", lifespan="on"))
server.run(sockets=[listening])
