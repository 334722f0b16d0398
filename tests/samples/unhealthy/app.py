from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(500, "the database is away")

    def log_message(self, *args):
        pass


print("listening, but unwell", flush=True)
ThreadingHTTPServer(("0.0.0.0", 8000), Handler).serve_forever()
