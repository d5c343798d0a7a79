import type { BrowserContext, Locator, Page } from 'playwright-core';
import type { Dictionary } from '../../src/i18n';

/** A message as it stands on somebody's screen. */
export interface Shown {
  /** Its number in the room; null while it is on its way. */
  seq: number | null;
  who: string;
  text: string;
}

export interface RoomEvent {
  type: string;
  seq: number;
  body?: string;
  by: { id: string; name: string };
}

/** Somebody at a browser, who finds what they need by what it is called. */
export class Person {
  constructor(
    readonly name: string,
    readonly context: BrowserContext,
    readonly page: Page,
    /** The words of the page in this person's language. */
    readonly t: Dictionary,
  ) {}

  // --- coming in and moving about ----------------------------------------------------------------------------------

  get nameBox(): Locator {
    return this.page.getByRole('textbox', { name: this.t.welcome.name });
  }

  /** Chooses a name at the door. */
  async comeIn(): Promise<this> {
    await this.nameBox.fill(this.name);
    await this.page.getByRole('button', { name: this.t.welcome.enter }).click();
    await this.composer('lobby').waitFor();
    return this;
  }

  get rooms(): Locator {
    return this.page.getByRole('complementary', { name: this.t.rooms.title });
  }

  roomLink(name: string): Locator {
    return this.rooms.getByRole('navigation').getByRole('button').filter({ has: this.page.getByText(name, { exact: true }) });
  }

  /** Goes to a room by its name, and makes it if need be. */
  async goTo(room: string): Promise<void> {
    const finder = this.rooms.getByRole('textbox', { name: this.t.rooms.find });
    await finder.fill(room);
    await finder.press('Enter');
    await this.composer(room).waitFor();
  }

  composer(room: string): Locator {
    return this.page.getByRole('textbox', { name: this.t.composer.label(`#${room}`), exact: true });
  }

  async say(text: string, room = 'lobby'): Promise<void> {
    await this.composer(room).fill(text);
    await this.composer(room).press('Enter');
  }

  /**
   * Says many things as fast as the page can take them: through the composer and its keys, but from within the page, so that
   * nothing waits for the test's own way there and back.
   */
  async sayAll(texts: readonly string[], room = 'lobby'): Promise<void> {
    await this.composer(room).evaluate((area: HTMLTextAreaElement, all) => {
      for (const text of all) {
        area.value = text;
        area.dispatchEvent(new InputEvent('input', { bubbles: true }));
        area.dispatchEvent(new KeyboardEvent('keydown', { key: 'Enter', bubbles: true, cancelable: true }));
      }
    }, texts);
  }

  // --- what is on the screen -----------------------------------------------------------------------------------------

  /** The scrolled part of the page that holds what was said. */
  get stream(): Locator {
    return this.page.getByRole('region', { name: this.t.talk.messages });
  }

  get messages(): Locator {
    return this.page.getByRole('list', { name: this.t.talk.messages }).getByRole('listitem');
  }

  /** The row of one message. */
  message(text: string): Locator {
    return this.messages.filter({ has: this.page.getByText(text, { exact: true }) });
  }

  /** Every message on the list, in its order, those on their way too. */
  async shown(): Promise<Shown[]> {
    return this.messages.evaluateAll((rows) =>
      rows.flatMap((row) => {
        const body = row.querySelector('.body');
        if (!body) return [];
        const { seq } = (row as HTMLElement).dataset;
        const who = row.querySelector('.author, .said > .sr-only')?.textContent ?? '';
        return [{ seq: seq === undefined ? null : Number(seq), who, text: body.textContent ?? '' }];
      }),
    );
  }

  async texts(): Promise<string[]> {
    return (await this.shown()).map(({ text }) => text);
  }

  /** The messages that the page shows as being on the server, in order. */
  async delivered(): Promise<Shown[]> {
    return (await this.shown()).filter(({ seq }) => seq !== null);
  }

  get people(): Locator {
    return this.page.getByRole('complementary', { name: this.t.people.title });
  }

  /** What the page says about its connection; nothing while all is well. */
  connection(text: string | RegExp): Locator {
    return this.page.getByRole('status').filter({ hasText: text });
  }

  // --- what the server says ------------------------------------------------------------------------------------------

  /** A room's whole log, asked for over HTTP as this person. */
  async log(room: string): Promise<RoomEvent[]> {
    const events: RoomEvent[] = [];
    for (let more = true; more; ) {
      const address = new URL(`/api/v1/rooms/${encodeURIComponent(room)}/events`, this.page.url());
      address.search = String(new URLSearchParams({ after: String(events.at(-1)?.seq ?? 0), limit: '500' }));
      const answer = await this.context.request.get(address.href);
      if (!answer.ok()) throw new Error(`${address.pathname} answered ${answer.status()}: ${await answer.text()}`);
      const page = (await answer.json()) as { events: RoomEvent[]; more: boolean };
      events.push(...page.events);
      more = page.more;
    }
    return events;
  }

  /** The messages of a room's log, as they would stand on a screen. */
  async logged(room: string): Promise<Shown[]> {
    return (await this.log(room)).flatMap((event) =>
      event.type === 'message' ? [{ seq: event.seq, who: event.by.name, text: event.body! }] : [],
    );
  }
}
