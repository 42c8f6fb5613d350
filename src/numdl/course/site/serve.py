"""Course on this machine: how does a browser get the pages, and nobody else?

Files of a temporary folder, by Python's own server on 127.0.0.1 and a port that is free; Ctrl-C ends it.
"""

from __future__ import annotations

import tempfile
import threading
import webbrowser
from collections.abc import Callable
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import ClassVar

from numdl.course.site.build import POLICY, build


class Handler(SimpleHTTPRequestHandler):
    """Files of one folder, under the policy of the pages; other host names than this machine's are refused."""

    extensions_map: ClassVar[dict[str, str]] = {**SimpleHTTPRequestHandler.extensions_map, ".js": "text/javascript"}

    def end_headers(self) -> None:
        """Send the policy with every answer."""
        self.send_header("Content-Security-Policy", POLICY + "; frame-ancestors 'none'")
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-store")
        super().end_headers()

    def send_head(self):
        """Refuse who was sent here under another name, and listings of folders."""
        host = self.headers.get("Host", "").rsplit(":", 1)[0]
        if host not in ("127.0.0.1", "localhost"):
            self.send_error(421)
            return None
        return super().send_head()

    def list_directory(self, path):
        """Folders are not listed."""
        self.send_error(404)

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
        build(Path(folder) / "site")
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
