import os
import pathlib
import socketserver
import wsgiref.simple_server

import bottle

VERSION = pathlib.Path("VERSION").read_text().strip()


@bottle.get("/")
def index():
    return f"python VERSION {VERSION}"


@bottle.get("/env/<name>")
def variable(name):
    return os.environ.get(name, "")


@bottle.get("/healthz")
def healthz():
    return "ok"


@bottle.get("/exit/<code:int>")
def leave(code):
    os._exit(code)


@bottle.get("/eat")
def eat():
    return str(len(bytes(4 << 30).replace(b"\0", b"1")))


class Server(socketserver.ThreadingMixIn, wsgiref.simple_server.WSGIServer):
    daemon_threads = True


class Quiet(wsgiref.simple_server.WSGIRequestHandler):
    def log_message(self, *args):
        pass


print(f"python-web {VERSION} listens", flush=True)
wsgiref.simple_server.make_server(
    "0.0.0.0", int(os.environ["PORT"]), bottle.default_app(), Server, Quiet
).serve_forever()
