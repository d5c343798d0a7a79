// A chat hub as one first writes it in Go: a goroutine owns the set of clients, two goroutines serve each connection, and
// channels join them. Whatever text a client sends goes to all. Nothing is stored, and nobody is asked who they are.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/gorilla/websocket"
)

// Messages that may wait for one client.
const queueLength = 256

type client struct {
	conn  *websocket.Conn
	queue chan []byte
}

type hub struct {
	register   chan *client
	unregister chan *client
	broadcast  chan []byte
}

// run is the only goroutine that touches the set. A client whose queue is full is waited for. Demos close it instead, which
// would void a run: each member must hear everything.
func (h *hub) run() {
	clients := make(map[*client]bool)
	for {
		select {
		case c := <-h.register:
			clients[c] = true
		case c := <-h.unregister:
			if clients[c] {
				delete(clients, c)
				close(c.queue)
			}
		case message := <-h.broadcast:
			for c := range clients {
				c.queue <- message
			}
		}
	}
}

func (c *client) read(h *hub) {
	defer func() {
		h.unregister <- c
		c.conn.Close()
	}()
	for {
		_, message, err := c.conn.ReadMessage()
		if err != nil {
			return
		}
		h.broadcast <- message
	}
}

// write puts what has collected in the queue into one WebSocket message, each text on its line: one system call for many.
func (c *client) write() {
	defer c.conn.Close()
	broken := false
	for message := range c.queue {
		// A broken client's queue is still emptied, so that the hub never waits for it.
		if broken {
			continue
		}
		w, err := c.conn.NextWriter(websocket.TextMessage)
		if err != nil {
			broken = true
			continue
		}
		w.Write(message)
		for n := len(c.queue); n > 0; n-- {
			w.Write([]byte{'\n'})
			w.Write(<-c.queue)
		}
		broken = w.Close() != nil
	}
}

func main() {
	listen := flag.String("listen", "127.0.0.1:9998", "address")
	flag.Parse()
	h := &hub{register: make(chan *client), unregister: make(chan *client), broadcast: make(chan []byte)}
	go h.run()
	upgrader := websocket.Upgrader{ReadBufferSize: 1024, WriteBufferSize: 1024}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		conn, err := upgrader.Upgrade(w, r, nil)
		if err != nil {
			return
		}
		c := &client{conn: conn, queue: make(chan []byte, queueLength)}
		h.register <- c
		go c.write()
		go c.read(h)
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
