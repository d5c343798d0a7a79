// A typical first chat hub in Go: one goroutine owns the set of clients, two goroutines serve each connection, and channels
// connect them. Every text from a client goes to all. Nothing is stored, and clients are not authenticated.
package main

import (
	"flag"
	"log"
	"net/http"

	"github.com/gorilla/websocket"
)

// Capacity of a client's queue, in messages.
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

// run is the only goroutine that uses the set. It waits for a client whose queue is full. Demos close it instead, which would
// void a run, because each member must receive everything.
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

// write sends all queued texts as one WebSocket message, one text per line, to save system calls.
func (c *client) write() {
	defer c.conn.Close()
	broken := false
	for message := range c.queue {
		// After an error the queue is still emptied, so that the hub never waits for this client.
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
