# SPDX-License-Identifier: BSD-3-Clause
"""webserver.py FOLDER PORTFILE: serves the files of a folder on a free port, byte ranges too."""

import os
import re
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Files(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, is_head):
        path = os.path.join(sys.argv[1], os.path.basename(self.path))
        if not os.path.isfile(path):
            self.send_error(404)
            return
        total = os.path.getsize(path)
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range", ""))
        first, last = 0, total - 1
        if wanted:
            first, last = int(wanted[1]), min(int(wanted[2] or last), last)
            self.send_response(206)
            self.send_header("Content-Range", "bytes %d-%d/%d" % (first, last, total))
        else:
            self.send_response(200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(last + 1 - first))
        self.end_headers()
        if not is_head:
            with open(path, "rb") as file:
                file.seek(first)
                self.wfile.write(file.read(last + 1 - first))

    def do_GET(self):
        self.answer(is_head=False)

    def do_HEAD(self):
        self.answer(is_head=True)


server = ThreadingHTTPServer(("127.0.0.1", 0), Files)
with open(sys.argv[2] + ".new", "w") as port:
    port.write("%d\n" % server.server_address[1])
os.rename(sys.argv[2] + ".new", sys.argv[2])
server.serve_forever()
