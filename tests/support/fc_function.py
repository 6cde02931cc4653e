"""A function for tests: a web server of the standard library that shows what reaches it and does as it is told."""

import http.server
import json
import os
import pathlib
import subprocess
import sys
import threading
import time
import urllib.parse

STATE = {"answered": 0, "beats": 0, "in_flight": 0, "most": 0, "pid": os.getpid()}
LOCK = threading.Lock()


def beat():
    while True:
        STATE["beats"] += 1
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
        if self.headers.get("Transfer-Encoding") != "chunked":
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))
        data = b""
        while size := int(self.rfile.readline(), 16):
            data += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return data

    def answer(self):
        body = self.body()
        with LOCK:
            STATE["in_flight"] += 1
            STATE["most"] = max(STATE["most"], STATE["in_flight"])
        try:
            if self.headers.get("x-fc-control-path") in ("/invoke", "/initialize", "/pre-stop"):
                self.event(body)
            else:
                self.web(body)
        finally:
            with LOCK:
                STATE["in_flight"] -= 1
                STATE["answered"] += 1

    def event(self, body):
        retry = int(self.headers.get("x-fc-retry-count") or 0)
        note = {
            "control": self.headers["x-fc-control-path"],
            "method": self.command,
            "retry": retry,
            "request_id": self.headers.get("x-fc-request-id"),
            "version": self.headers.get("x-fc-version-id"),
            "body": body.decode(),
        }
        with pathlib.Path(os.environ["NOTES"]).open("a") as notes:
            notes.write(json.dumps(note) + "\n")
        wanted = json.loads(body) if body.startswith(b"{") else {}
        todo = wanted.get("do")
        if todo == "crash":
            os._exit(3)
        if todo == "sleep":
            time.sleep(wanted["seconds"])
        if todo == "say":
            say(wanted["text"])
        if todo == "500" or (os.environ.get("FAIL_INITIALIZER") and note["control"] == "/initialize"):
            self.send(500, b"broken")
        elif todo == "fail" or wanted.get("fail_below", 0) > retry:
            self.send(404, b'{"errorMessage": "told to"}', [("x-fc-status", "404")])
        else:
            self.send(201, body, [("x-fc-status", "200"), ("X-Own", "dropped")])

    def web(self, body):
        url = urllib.parse.urlsplit(self.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        shown = getattr(self, "show_" + url.path.strip("/"), None)
        if shown is not None:
            shown(query)
            return
        seen = {
            "method": self.command,
            "target": self.path,
            "headers": self.headers.items(),
            "size": len(body),
            "body": body[:200].decode("latin-1"),
        }
        self.send(200, json.dumps(seen).encode(), [("Content-Type", "application/json")])

    def show_crash(self, query):
        os._exit(3)

    def show_sleep(self, query):
        time.sleep(float(query["seconds"]))
        self.send(200, b"slept")

    def show_state(self, query):
        self.send(200, json.dumps(STATE).encode())

    def show_environment(self, query):
        seen = {"variables": dict(os.environ), "cwd": str(pathlib.Path.cwd()), "argv": sys.argv, "path": sys.path}
        self.send(200, json.dumps(seen).encode())

    def show_file(self, query):
        self.send(200, pathlib.Path(query["path"]).read_bytes())

    def show_child(self, query):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        self.send(200, str(child.pid).encode())

    def show_forbidden(self, query):
        own = [("x-fc-own", "1"), ("X-Kept", "1"), ("X-Kept", "2"), ("Keep-Alive", "timeout=1"), ("ETag", '"a"')]
        self.send(200, b"ok", own)

    def show_fat(self, query):
        self.send(200, b"ok", [("X-Fat", "f" * 9000)])

    def show_cors(self, query):
        self.send(200, b"ok", [("Access-Control-Allow-Origin", "https://own.example")])

    def show_chunked(self, query):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for part in (b"one", b"two", b"three"):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(part), part))
            self.wfile.flush()
        self.wfile.write(b"0\r\n\r\n")

    def show_short(self, query):
        self.send(200, b"half", [("Content-Length", "8")])
        self.close_connection = True

    def show_304(self, query):
        self.send(304, b"", [("ETag", '"a"'), ("Content-Length", "0")])

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_OPTIONS = do_HEAD = answer


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128


def say(text, stream=sys.stdout):
    stream.write(text + "\n")
    stream.flush()


if __name__ == "__main__":
    if "SAY" in os.environ:
        say(os.environ["SAY"])
        say("to stderr", sys.stderr)
    if "EXIT_AT_START" in os.environ:
        sys.exit(7)
    threading.Thread(target=beat, daemon=True).start()
    Server((os.environ["ISI_LISTEN_HOST"], int(os.environ["FC_CUSTOM_LISTEN_PORT"])), Handler).serve_forever()
