const { createServer } = require("node:http");
const { readFileSync } = require("node:fs");

const version = readFileSync("VERSION", "utf8").trim();
const server = createServer((request, response) => {
  response.end(request.url === "/healthz" ? "ok" : `node VERSION ${version}`);
});
process.on("SIGTERM", () => server.close(() => process.exit(0)));
server.listen(process.env.PORT, "0.0.0.0", () => console.log("listening"));
