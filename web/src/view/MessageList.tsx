import { createMemo, createSignal, For, onCleanup, onMount, Show } from 'solid-js';
import { reuseRows, buildRows, type Row } from '../core/rows';
import { limitWindow, capacity, extendBack, FOLLOW_LATEST, pinStart, windowIndices, extendForward, type EventWindow } from '../core/event-window';
import { dayOf } from '../i18n/format';
import type { RoomId } from '../protocol/types';
import { useApp } from './context';
import { DownIcon } from './Icons';
import { DayRow, GapRow, NewRow, MembershipRow, StartRow } from './SystemRows';
import { MessageRow, PendingRow } from './MessageRow';

/** Within this distance in pixels, the list counts as scrolled to the end. */
const AT_END = 60;
/** Within this distance in pixels from an edge, more rows are added. */
const NEAR_EDGE = 2_400;
/** How many events are kept loaded above the rendered window. */
const AHEAD = 100;
/**
 * Whether the browser supports scroll anchoring, which keeps the position when rows are inserted above. Only the browser can do
 * that during a smooth scroll. It does not do it at the very top.
 */
const KEEPS_PLACE = CSS.supports('overflow-anchor', 'auto');

/** The messages of a room. Keyed by room: each room gets its own list. */
export function MessageList(props: { room: RoomId }) {
  const ctx = useApp();
  const { app, t } = ctx;
  const [eventWindow, setEventWindow] = createSignal<EventWindow>(FOLLOW_LATEST);
  const [away, setAway] = createSignal(false);
  let scroller!: HTMLDivElement;
  let list!: HTMLOListElement;
  let stuck = true;
  /** The scroll position at the last check: a smaller one now means that the reader scrolled up. */
  let lastTop = 0;
  let placed = false;

  const room = () => app.chat.room(props.room);
  const log = () => room()?.log ?? null;

  const rows = createMemo<Row[]>((before) => {
    void app.revision;
    const here = room();
    if (!here?.log) return [];
    const { from, to } = windowIndices(here.log, eventWindow());
    const atEnd = to === here.log.events.length;
    const first = here.log.events[from]?.seq ?? 0;
    const last = atEnd ? Infinity : here.log.events[to - 1]!.seq;
    return reuseRows(
      before,
      buildRows({
        events: here.log.events.slice(from, to),
        gaps: here.log.gaps.filter((gap) => gap.to >= first && gap.from <= last),
        fromStart: here.log.floor === 0 && from === 0,
        marker: here.marker,
        pending: atEnd ? app.chat.outbox.inRoom(props.room) : [],
        you: app.chat.you?.id ?? null,
        dayOf,
      }),
    );
  }, []);
  const empty = ctx.select(() => {
    const here = room();
    return here?.log?.floor === 0 && here.n === 0 && app.chat.outbox.inRoom(props.room).length === 0;
  });
  const loading = ctx.select(() => room()?.fetching?.before !== undefined && log()?.events.length !== 0);
  const unread = ctx.select(() => room()?.unread ?? 0);

  // --- scroll position -----------------------------------------------------------------------------------------------

  const fromEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const toEnd = () => {
    scroller.scrollTop = scroller.scrollHeight;
    lastTop = scroller.scrollTop;
  };
  /** At the end, or still there although the end moved: the keyboard opened, or messages arrived. */
  const isStuck = () => eventWindow().last === null && (fromEnd() <= AT_END || (stuck && scroller.scrollTop >= lastTop - 1));

  /** Records the position of the first visible rows and returns a function that restores it. */
  const rememberPlace = (): (() => void) => {
    if (stuck) return toEnd;
    if (KEEPS_PLACE && scroller.scrollTop > 0) return () => {};
    const top = scroller.getBoundingClientRect().top;
    const anchors: { key: string; offset: number }[] = [];
    for (const child of list.children) {
      const box = child.getBoundingClientRect();
      if (box.bottom <= top) continue;
      anchors.push({ key: (child as HTMLElement).dataset.key ?? '', offset: box.top - top });
      // Membership rows may merge with others, so a few more rows serve as fallback.
      if (anchors.length >= 8) break;
    }
    return () => {
      for (const { key, offset } of anchors) {
        const element = list.querySelector<HTMLElement>(`[data-key="${CSS.escape(key)}"]`);
        if (!element) continue;
        const moved = element.getBoundingClientRect().top - scroller.getBoundingClientRect().top - offset;
        if (Math.abs(moved) >= 1) scroller.scrollTop += moved;
        return;
      }
    };
  };

  const show = (next: EventWindow) => {
    const restore = rememberPlace();
    setEventWindow(next);
    restore();
  };

  /** The initial position: the first unread message in the upper part of the screen, or the end. */
  const place = () => {
    if (placed || rows().length === 0 || (room()?.fetching && (log()?.events.length ?? 0) === 0)) return;
    placed = true;
    const line = list.querySelector<HTMLElement>('[data-key="new"]');
    if (line) scroller.scrollTop = line.offsetTop - scroller.clientHeight * 0.3;
    else toEnd();
    look();
  };

  /** Extends the window near an edge, and requests older events. */
  const bringMore = () => {
    const held = log();
    if (!held || !placed) return;
    const most = capacity(held, eventWindow(), rows().length);
    if (scroller.scrollTop < NEAR_EDGE) {
      const next = extendBack(held, pinStart(held, eventWindow()), most);
      if (next) show(next);
      // Requested early, so that the reader does not have to wait at the top.
      if (windowIndices(held, eventWindow()).from < AHEAD && held.floor > 0) app.requestOlder();
    } else if (eventWindow().last !== null && fromEnd() < NEAR_EDGE) {
      const next = extendForward(held, eventWindow(), most);
      if (next) show(next);
    }
  };

  /** Updates what follows from the scroll position: sticking to the end, the jump button, the focused room. */
  const look = () => {
    const held = log();
    if (!held) return;
    stuck = eventWindow().last === null && fromEnd() <= AT_END;
    lastTop = scroller.scrollTop;
    if (stuck && eventWindow().first !== null && scroller.scrollTop > NEAR_EDGE * 2) show(FOLLOW_LATEST);
    else if (!stuck) setEventWindow((now) => pinStart(held, now));
    setAway(eventWindow().last !== null || fromEnd() > scroller.clientHeight * 0.75);
    attend();
  };

  const attend = () => {
    const seen = placed && stuck && document.visibilityState === 'visible' && document.hasFocus() && ctx.drawer() === null;
    app.setFocusedRoom(seen ? props.room : null);
  };

  let framed = false;
  // Also on wheel and touch events without a scroll, at the edge of the list: more events may have been loaded since.
  const onScroll = () => {
    if (framed) return;
    framed = true;
    requestAnimationFrame(() => {
      framed = false;
      look();
      bringMore();
    });
  };

  onMount(() => {
    const sinceResize = new ResizeObserver(() => {
      if (stuck) toEnd();
    });
    sinceResize.observe(scroller);
    sinceResize.observe(list);
    const forget = app.onPublish(() => {
      const held = log();
      if (held) stuck = isStuck();
      const restore = rememberPlace();
      return () => {
        const now = log();
        if (now) setEventWindow((s) => limitWindow(now, s));
        restore();
        place();
        look();
        // Scroll anchoring may have moved the list again by now.
        onScroll();
      };
    });
    const onAttention = () => attend();
    addEventListener('focus', onAttention);
    addEventListener('blur', onAttention);
    document.addEventListener('visibilitychange', onAttention);
    place();
    bringMore();
    onCleanup(() => {
      forget();
      sinceResize.disconnect();
      removeEventListener('focus', onAttention);
      removeEventListener('blur', onAttention);
      document.removeEventListener('visibilitychange', onAttention);
      if (app.chat.focused === props.room) app.setFocusedRoom(null);
    });
  });

  const jump = () => {
    setEventWindow(FOLLOW_LATEST);
    stuck = true;
    toEnd();
    look();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.defaultPrevented && ctx.drawer() === null && ctx.dialog() === null) {
      jump();
      document.getElementById('composer')?.focus();
    }
  };
  document.addEventListener('keydown', onKeyDown);
  onCleanup(() => document.removeEventListener('keydown', onKeyDown));

  return (
    <div class="message-list">
      <div ref={scroller} class="scroller" tabindex="0" role="region" aria-label={t().conversation.messages} onScroll={onScroll} onWheel={onScroll} onTouchMove={onScroll}>
        <ol ref={list} class="rows" aria-label={t().conversation.messages}>
          <For each={rows()}>{(row) => <RowView row={row} />}</For>
        </ol>
        <Show when={empty()}>
          <div class="empty">
            <p>{t().conversation.empty}</p>
            <p class="hint">{t().conversation.emptyHint}</p>
          </div>
        </Show>
      </div>
      <Show when={loading()}>
        <p class="loading">{t().conversation.loading}</p>
      </Show>
      <Show when={away()}>
        <button type="button" class="jump-button" classList={{ fresh: unread() > 0 }} onClick={jump}>
          {unread() > 0 ? t().conversation.latestNew(unread()) : t().conversation.latest}
          <DownIcon />
        </button>
      </Show>
    </div>
  );
}

/** Rows are immutable: a changed state is a new row. So nothing here needs to be reactive. */
function RowView(props: { row: Row }) {
  const row = props.row;
  switch (row.kind) {
    case 'message':
      return <MessageRow row={row} />;
    case 'pending':
      return <PendingRow row={row} />;
    case 'membership':
      return <MembershipRow row={row} />;
    case 'day':
      return <DayRow row={row} />;
    case 'new':
      return <NewRow />;
    case 'gap':
      return <GapRow row={row} />;
    case 'start':
      return <StartRow />;
  }
}
