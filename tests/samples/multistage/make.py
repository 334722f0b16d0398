import pathlib

pathlib.Path("/cache/seen").write_text("yes")
pathlib.Path("index.html").write_text("multistage VERSION 1")
