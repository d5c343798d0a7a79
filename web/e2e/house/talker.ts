import type { House } from './house';

/**
 * Fills a room through the protocol, as `name`: from a page that stands at the door. Resolves when every line is on the
 * server's disk.
 */
export async function fill(house: House, name: string, room: string, lines: readonly string[]): Promise<void> {
  const { page } = await house.visitor(name);
  await page.evaluate(
    async ({ name, room, lines }) => {
      await fetch('/api/v1/session', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name }),
      });
      await new Promise<void>((resolve, reject) => {
        const socket = new WebSocket(`ws://${location.host}/ws`, 'teahouse.v1.json');
        let answered = 0;
        socket.onopen = () => socket.send(JSON.stringify({ type: 'join', id: 0, room }));
        socket.onclose = (event) => reject(new Error(`closed with ${event.code}`));
        socket.onmessage = ({ data }) => {
          for (const frame of [JSON.parse(data as string) as unknown].flat() as { type: string; id?: number; room?: string }[]) {
            if (frame.type === 'error') reject(new Error(JSON.stringify(frame)));
            if (frame.type === 'joined') {
              lines.forEach((body, i) => {
                socket.send(JSON.stringify({ type: 'send', id: i + 1, room: frame.room, client_message_id: `line-${i}`, body }));
              });
            }
            if (frame.type === 'ok' && ++answered === lines.length) resolve();
          }
        };
      });
    },
    { name, room, lines },
  );
}
