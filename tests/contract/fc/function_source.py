"""A function for tests: a web server of the standard library that shows what reaches it and does as it is told."""

import http.server
import json
import os
import pathlib
import sys
import threading
import time
import urllib.parse

started_at = time.time()
beats = 0
in_flight = 0
most_in_flight = 0
lock = threading.Lock()


def beat():
    global beats
    while True:
        beats += 1
        time.sleep(0.001)


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *arguments):
        pass

    def send(self, status, body, headers=()):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        if not any(name.lower() == "content-length" for name, _ in headers):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def body(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            data = b""
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return data
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def answer(self):
        global in_flight, most_in_flight
        body = self.body()
        with lock:
            in_flight += 1
            most_in_flight = max(most_in_flight, in_flight)
        try:
            if self.headers.get("x-fc-control-path") in ("/invoke", "/initialize", "/pre-stop"):
                self.event(body)
            else:
                self.web(body)
        finally:
            with lock:
                in_flight -= 1

    def event(self, body):
        note = {
            "control": self.headers["x-fc-control-path"],
            "retry": self.headers.get("x-fc-retry-count"),
            "request_id": self.headers.get("x-fc-request-id"),
            "body": body.decode(),
        }
        with pathlib.Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(json.dumps(note) + "\n")
        wanted = {}
        if body.startswith(b"{"):
            wanted = json.loads(body)
        if wanted.get("do") == "crash":
            os._exit(3)
        if wanted.get("do") == "sleep":
            time.sleep(wanted["seconds"])
        if wanted.get("do") == "fail" or wanted.get("fail_below", 0) > int(note["retry"] or 0):
            self.send(404, b'{"errorMessage": "told to"}', [("x-fc-status", "404")])
        elif wanted.get("do") == "500":
            self.send(500, b"broken")
        else:
            self.send(200, body, [("x-fc-status", "200"), ("X-Own", "dropped")])

    def web(self, body):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        if url.path == "/crash":
            os._exit(3)
        if url.path == "/sleep":
            time.sleep(float(query["seconds"]))
        if url.path == "/state":
            seen = {"pid": os.getpid(), "beats": beats, "most": most_in_flight, "started_at": started_at}
            return self.send(200, json.dumps(seen).encode())
        if url.path == "/environment":
            seen = {"variables": dict(os.environ), "cwd": os.getcwd(), "argv": sys.argv, "path": sys.path}
            return self.send(200, json.dumps(seen).encode())
        if url.path == "/child":
            import subprocess

            child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
            return self.send(200, str(child.pid).encode())
        if url.path == "/forbidden":
            own = [("x-fc-own", "1"), ("X-Kept", "1"), ("X-Kept", "2"), ("Keep-Alive", "timeout=1"), ("ETag", '"a"')]
            return self.send(200, b"ok", own)
        if url.path == "/fat":
            return self.send(200, b"ok", [("X-Fat", "f" * 9000)])
        if url.path == "/cors":
            return self.send(200, b"ok", [("Access-Control-Allow-Origin", "https://own.example")])
        if url.path == "/chunked":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (b"one", b"two", b"three"):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
            return None
        if url.path == "/short":
            self.send(200, b"half", [("Content-Length", "8")])
            self.close_connection = True
            return None
        if url.path == "/304":
            return self.send(304, b"", [("ETag", '"a"'), ("Content-Length", "0")])
        seen = {
            "method": self.command,
            "target": self.path,
            "headers": self.headers.items(),
            "size": len(body),
            "body": body[:200].decode("latin-1"),
        }
        return self.send(200, json.dumps(seen).encode(), [("Content-Type", "application/json")])

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


if os.environ.get("SAY"):
    print(os.environ["SAY"], flush=True)
    print("to stderr", file=sys.stderr, flush=True)
if os.environ.get("EXIT_AT_START"):
    sys.exit(7)
threading.Thread(target=beat, daemon=True).start()
Server((os.environ["ISI_LISTEN_HOST"], int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Handler).serve_forever()
