"""Course on this machine: how does a browser get the pages, and nobody else?

Files of a temporary folder, by Python's own server on 127.0.0.1 and a port that is free; Ctrl-C ends it. Its pages, and
no others, may ask it to run their experiments.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
import threading
import webbrowser
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import parse_qsl

from numdl.course.site.build import POLICY, build
from numdl.course.site.live import Runs

LONGEST = 4096
"""Bytes of a request for a run."""
LARGEST = 64 << 20
"""Bytes of a table."""


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder, under the policy of the pages; other host names than this machine's are refused."""

    runs: ClassVar[Runs] = Runs()
    extensions_map: ClassVar[dict[str, str]] = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def end_headers(self) -> None:
        """Send the policy with every answer."""
        self.send_header("Content-Security-Policy", POLICY + "; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def send_head(self):
        """Refuse who was sent here under another name, and listings of folders."""
        if not self._is_here():
            self.send_error(421)
            return None
        return super().send_head()

    def list_directory(self, path):
        """Folders are not listed."""
        self.send_error(404)

    def do_POST(self) -> None:
        """Run what a page asks for and send its lines; only pages of this server may ask.

        ``/run`` takes JSON and runs an experiment, ``/table?name=...&target=...`` takes a file and chooses alpha.
        """
        if self.headers.get("Origin") != f"http://{self.headers.get('Host')}" or not self._is_here():
            self._answer(403, {"error": "Only the pages of this server may start a run."})
            return
        try:
            with self._asked() as lines, contextlib.suppress(OSError):
                self.send_response(200)
                self.send_header("Content-Type", "application/x-ndjson")
                self.end_headers()
                for one in lines:  # until the end, or until the reader has gone
                    self.wfile.write((json.dumps(one) if one else "").encode() + b"\n")
        except RuntimeError as error:
            self._answer(409, {"error": str(error)})
        except (ValueError, RecursionError) as error:
            self._answer(400, {"error": str(error)})

    def _asked(self) -> contextlib.AbstractContextManager[Iterator[dict[str, Any] | None]]:
        """The run that a request is for."""
        length, (where, _, query) = int(self.headers.get("Content-Length", "")), self.path.partition("?")
        if where == "/run" and 0 < length <= LONGEST:
            return self.runs.run(json.loads(self.rfile.read(length)))
        if where == "/table" and 0 <= length <= LARGEST:
            given = dict(parse_qsl(query))
            return self.runs.table(given.get("name", ""), self.rfile.read(length), given.get("target", ""))
        self.close_connection = True  # what was not read cannot be told from a next request
        if where == "/table":
            raise ValueError(f"The file has {length / 1e6:.0f} MB, needs at most {LARGEST >> 20}. Use numdl select.")
        raise ValueError("Needs a short request to /run, or a table to /table.")

    def _answer(self, code: int, what: dict[str, str]) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(json.dumps(what).encode())

    def _is_here(self) -> bool:
        return self.headers.get("Host", "").rsplit(":", 1)[0] in ("127.0.0.1", "localhost")

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing of single files."""


def serve(say: Callable[[str], None], *, browser: bool = True, ready: threading.Event | None = None) -> None:
    """Build the site, serve it and open it, until Ctrl-C.

    Args:
        say: is told the address, a line.
        browser: whether a browser is opened.
        ready: set when the server listens.

    Raises:
        OSError: no port is free, or no temporary folder can be written.
    """
    with tempfile.TemporaryDirectory(prefix="numdl-course-") as folder:
        build(Path(folder) / "site", live=True)
        handler = partial(Handler, directory=str(Path(folder) / "site"))
        with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            say(f"Course  {address}  (Ctrl-C ends it)")
            if ready is not None:
                ready.set()
            if browser:
                threading.Thread(target=webbrowser.open, args=(address,), daemon=True).start()
            try:
                server.serve_forever(poll_interval=0.2)
            except KeyboardInterrupt:
                say("")
            finally:
                Handler.runs.stop()
