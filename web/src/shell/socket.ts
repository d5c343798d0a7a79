import { SUBPROTOCOL } from '../protocol/types';

export interface SocketEvents {
  message(text: string): void;
  closed(code: number, reason: string): void;
}

/** Opens the WebSocket: `wss` if the page was loaded over https. */
export function openSocket(events: SocketEvents): { send(text: string): void; drop(): void } {
  const url = new URL('/ws', location.href);
  url.protocol = location.protocol === 'https:' ? 'wss:' : 'ws:';
  let over = false;
  const end = (code: number, reason: string) => {
    if (over) return;
    over = true;
    events.closed(code, reason);
  };
  const socket = new WebSocket(url, SUBPROTOCOL);
  socket.onmessage = ({ data }) => {
    if (!over && typeof data === 'string') events.message(data);
  };
  socket.onclose = ({ code, reason }) => end(code, reason);
  return {
    send(text) {
      if (socket.readyState === WebSocket.OPEN) socket.send(text);
    },
    /** A dead peer does not answer a close either, so `closed` fires at once. */
    drop() {
      socket.close();
      end(1006, '');
    },
  };
}
