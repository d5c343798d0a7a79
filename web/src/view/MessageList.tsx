import { createMemo, createSignal, For, onCleanup, onMount, Show } from 'solid-js';
import { capacity, type EventWindow, extendBack, extendForward, FOLLOW_LATEST, limitWindow, pinStart, windowIndices } from '../core/event-window';
import { buildRows, reuseRows, type Row } from '../core/rows';
import { dayOf } from '../i18n/format';
import type { RoomId } from '../protocol/types';
import { capped, useApp } from './context';
import { DownIcon } from './Icons';
import { listen } from './listen';
import { MessageRow, PendingRow } from './MessageRow';
import { DayRow, EventRow, GapRow, MembershipRow, NewRow, StartRow } from './SystemRows';

/** Within this distance in pixels, the list counts as scrolled to the end. */
const END_DISTANCE = 60;
/** Within this distance in pixels from an edge, more rows are added. */
const EDGE_DISTANCE = 2_400;
/** How many events are kept loaded above the rendered window. */
const PREFETCH_EVENTS = 100;
/**
 * Whether the browser supports scroll anchoring, which keeps the position when rows are inserted above. Only the browser can do
 * that during a smooth scroll. It does not do it at the very top.
 */
const SCROLL_ANCHORING = CSS.supports('overflow-anchor', 'auto');

/** The messages of a room. Keyed by room: each room gets its own list. */
export function MessageList(props: { room: RoomId }) {
  const ctx = useApp();
  const { app, t } = ctx;
  const [eventWindow, setEventWindow] = createSignal<EventWindow>(FOLLOW_LATEST);
  const [scrolledAway, setScrolledAway] = createSignal(false);
  let scroller!: HTMLDivElement;
  let list!: HTMLOListElement;
  let followsEnd = true;
  /** The scroll position at the last check: a smaller one now means that the reader scrolled up. */
  let lastTop = 0;
  let positioned = false;

  const room = () => app.chat.room(props.room);
  const log = () => room()?.log ?? null;

  const rows = createMemo<Row[]>((before) => {
    void app.revision;
    const current = room();
    if (!current?.log) return [];
    const { from, to } = windowIndices(current.log, eventWindow());
    const atEnd = to === current.log.events.length;
    const first = current.log.events[from]?.seq ?? 0;
    const last = atEnd ? Infinity : current.log.events[to - 1]!.seq;
    return reuseRows(
      before,
      buildRows({
        events: current.log.events.slice(from, to),
        gaps: current.log.gaps.filter((gap) => gap.to >= first && gap.from <= last),
        fromStart: current.log.floor === 0 && from === 0,
        marker: current.marker,
        pending: atEnd ? app.chat.outbox.inRoom(props.room) : [],
        you: app.chat.you?.id ?? null,
        dayOf,
      }),
    );
  }, []);
  const empty = ctx.select(() => {
    const current = room();
    return current?.log?.floor === 0 && current.n === 0 && app.chat.outbox.inRoom(props.room).length === 0;
  });
  const loading = ctx.select(() => room()?.fetching?.before !== undefined && log()?.events.length !== 0);
  const unread = ctx.select(() => room()?.unread ?? 0);

  // --- scroll position -----------------------------------------------------------------------------------------------

  const fromEnd = () => scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight;
  const scrollToEnd = () => {
    scroller.scrollTop = scroller.scrollHeight;
    lastTop = scroller.scrollTop;
  };
  /** At the end, or still there although the end moved: the keyboard opened, or messages arrived. */
  const isFollowingEnd = () => eventWindow().last === null && (fromEnd() <= END_DISTANCE || (followsEnd && scroller.scrollTop >= lastTop - 1));

  /** Records the position of the first visible rows and returns a function that restores it. */
  const saveScrollPosition = (): (() => void) => {
    if (followsEnd) return scrollToEnd;
    if (SCROLL_ANCHORING && scroller.scrollTop > 0) return () => {};
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
    const restore = saveScrollPosition();
    setEventWindow(next);
    restore();
  };

  /** The initial position: the first unread message in the upper part of the screen, or the end. */
  const positionInitially = () => {
    if (positioned || rows().length === 0 || (room()?.fetching && (log()?.events.length ?? 0) === 0)) return;
    positioned = true;
    const line = list.querySelector<HTMLElement>('[data-key="new"]');
    if (line) scroller.scrollTop = line.offsetTop - scroller.clientHeight * 0.3;
    else scrollToEnd();
    onPositionChange();
  };

  /** Extends the window near an edge, and requests older events. */
  const extendWindow = () => {
    const loaded = log();
    if (!loaded || !positioned) return;
    const limit = capacity(loaded, eventWindow(), rows().length);
    if (scroller.scrollTop < EDGE_DISTANCE) {
      const next = extendBack(loaded, pinStart(loaded, eventWindow()), limit);
      if (next) show(next);
      // Requested early, so that the reader does not have to wait at the top.
      if (windowIndices(loaded, eventWindow()).from < PREFETCH_EVENTS && loaded.floor > 0) app.requestOlder();
    } else if (eventWindow().last !== null && fromEnd() < EDGE_DISTANCE) {
      const next = extendForward(loaded, eventWindow(), limit);
      if (next) show(next);
    }
  };

  /** Updates what follows from the scroll position: sticking to the end, the jump button, the focused room. */
  const onPositionChange = () => {
    const loaded = log();
    if (!loaded) return;
    followsEnd = eventWindow().last === null && fromEnd() <= END_DISTANCE;
    lastTop = scroller.scrollTop;
    if (followsEnd && eventWindow().first !== null && scroller.scrollTop > EDGE_DISTANCE * 2) show(FOLLOW_LATEST);
    else if (!followsEnd) setEventWindow((now) => pinStart(loaded, now));
    setScrolledAway(eventWindow().last !== null || fromEnd() > scroller.clientHeight * 0.75);
    updateFocusedRoom();
  };

  const updateFocusedRoom = () => {
    const seen = positioned && followsEnd && document.visibilityState === 'visible' && document.hasFocus() && ctx.drawer() === null;
    app.setFocusedRoom(seen ? props.room : null);
  };

  let frameRequested = false;
  // Also on wheel and touch events without a scroll, at the edge of the list: more events may have been loaded since.
  const onScroll = () => {
    if (frameRequested) return;
    frameRequested = true;
    requestAnimationFrame(() => {
      frameRequested = false;
      onPositionChange();
      extendWindow();
    });
  };

  onMount(() => {
    const resizeObserver = new ResizeObserver(() => {
      if (followsEnd) scrollToEnd();
    });
    resizeObserver.observe(scroller);
    resizeObserver.observe(list);
    const unsubscribe = app.onPublish(() => {
      const loaded = log();
      if (loaded) followsEnd = isFollowingEnd();
      const restore = saveScrollPosition();
      return () => {
        const now = log();
        if (now) setEventWindow((s) => limitWindow(now, s));
        restore();
        positionInitially();
        onPositionChange();
        // Scroll anchoring may have moved the list again by now.
        onScroll();
      };
    });
    listen(window, 'focus', updateFocusedRoom);
    listen(window, 'blur', updateFocusedRoom);
    listen(document, 'visibilitychange', updateFocusedRoom);
    positionInitially();
    extendWindow();
    onCleanup(() => {
      unsubscribe();
      resizeObserver.disconnect();
      if (app.chat.focused === props.room) app.setFocusedRoom(null);
    });
  });

  const jumpToEnd = () => {
    setEventWindow(FOLLOW_LATEST);
    followsEnd = true;
    scrollToEnd();
    onPositionChange();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === 'Escape' && !event.defaultPrevented && ctx.drawer() === null && ctx.dialog() === null) {
      jumpToEnd();
      document.getElementById('composer')?.focus();
    }
  };
  listen(document, 'keydown', onKeyDown);

  return (
    <div class="message-list">
      <div ref={scroller} class="scroller" tabindex="0" role="region" aria-label={t().chat.messages} onScroll={onScroll} onWheel={onScroll} onTouchMove={onScroll}>
        <ol ref={list} class="rows" aria-label={t().chat.messages}>
          <For each={rows()}>{(row) => <RowView row={row} />}</For>
        </ol>
        <Show when={empty()}>
          <div class="empty">
            <p>{t().chat.empty}</p>
            <p class="hint">{t().chat.empty_hint}</p>
          </div>
        </Show>
      </div>
      <Show when={loading()}>
        <p class="loading">{t().chat.loading}</p>
      </Show>
      <Show when={scrolledAway()}>
        <button type="button" class="jump-button" classList={{ fresh: unread() > 0 }} onClick={jumpToEnd}>
          {unread() > 0 ? t().chat.latest_new({ n: unread(), shown: capped(unread()) }) : t().chat.latest}
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
    case 'event':
      return <EventRow row={row} />;
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
