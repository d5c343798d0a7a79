// A typical first chat hub in Node: every text from a client goes to all. Nothing is stored.
import { WebSocketServer } from "ws";

const [host, port] = (process.argv[2] ?? "127.0.0.1:9998").split(":");
const server = new WebSocketServer({ host, port: Number(port), backlog: 4096 });

server.on("connection", (socket) => {
  socket.on("error", () => socket.terminate());
  socket.on("message", (data) => {
    for (const member of server.clients) {
      if (member.readyState === member.OPEN) member.send(data, { binary: false });
    }
  });
});
