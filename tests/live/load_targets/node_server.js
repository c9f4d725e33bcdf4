// The conformance routes on node's own http module. Prints "ready PORT".
const http = require("node:http");

const server = http.createServer((request, response) => {
  if (request.url === "/fixed") {
    response.writeHead(200, { "Content-Length": 5 }).end("fixed");
  } else if (request.url === "/chunked") {
    response.writeHead(200);
    response.write("one".repeat(1000));
    response.write("two".repeat(1000));
    response.end("three".repeat(1000));
  } else if (request.url === "/empty") {
    response.writeHead(204).end();
  } else if (request.url === "/big") {
    response.writeHead(200, { "Content-Length": 1 << 20 }).end("x".repeat(1 << 20));
  } else if (request.url === "/echo") {
    const pieces = [];
    request.on("data", (piece) => pieces.push(piece));
    request.on("end", () => {
      const body = Buffer.concat(pieces);
      response.writeHead(201, { "Content-Length": body.length }).end(body);
    });
  } else {
    response.writeHead(404, { "Content-Length": 0 }).end();
  }
});
server.listen(0, "127.0.0.1", () => console.log("ready", server.address().port));
