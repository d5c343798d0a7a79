import { type Accessor, createContext, createEffect, createMemo, createSignal, useContext } from 'solid-js';
import type { TypedLine } from '../core/chat';
import { chooseLocale, DICTIONARIES, type Dictionary, LANG, type Locale } from '../i18n';
import { createFormat, type Format } from '../i18n/format';
import type { NameFault } from '../protocol/names';
import type { ErrorCode } from '../protocol/types';
import { App } from '../shell/app';
import { loadPreference, savePreference } from '../shell/storage';
import { listen } from './listen';

export type Theme = 'system' | 'light' | 'dark';
export type Drawer = 'rooms' | 'users' | null;
export interface Toast {
  id: number;
  text: string;
  urgent: boolean;
}

/** Breakpoints below which the rooms, and the users, become drawers. layout.css has the same numbers. */
const ROOMS_DRAWER = '(max-width: 759.98px)';
const USERS_DRAWER = '(max-width: 1079.98px)';
const TOAST_TIMEOUT = 7_000;

/** What every component can use: the app, the texts, and the view state. */
export interface AppContext {
  app: App;
  t: Accessor<Dictionary>;
  format: Accessor<Format>;
  locale: Accessor<Locale>;
  setLocale(locale: Locale): void;
  theme: Accessor<Theme>;
  setTheme(theme: Theme): void;
  roomsInDrawer: Accessor<boolean>;
  usersInDrawer: Accessor<boolean>;
  drawer: Accessor<Drawer>;
  setDrawer(drawer: Drawer): void;
  /** Whether the users column is open on a wide screen. */
  usersOpen: Accessor<boolean>;
  setUsersOpen(open: boolean): void;
  dialog: Accessor<'settings' | 'help' | null>;
  setDialog(dialog: 'settings' | 'help' | null): void;
  /** The last line whose command failed. */
  failedLine: Accessor<TypedLine | null>;
  setFailedLine(line: TypedLine): void;
  toasts: Accessor<readonly Toast[]>;
  notify(text: string, urgent?: boolean): void;
  dismiss(id: number): void;
  /** A value read from the core, recomputed when the core changes. Return plain values: the core's objects change in place. */
  select<T>(read: () => T): Accessor<T>;
  errorText(code: ErrorCode): string;
  roomNameError(fault: NameFault): string;
  userNameError(fault: NameFault): string;
}

const Context = createContext<AppContext>();
export const AppProvider = Context.Provider;

export function useApp(): AppContext {
  const ctx = useContext(Context);
  // main.tsx renders every component inside the provider.
  if (!ctx) throw new Error('useApp outside AppProvider');
  return ctx;
}

export function createAppContext(app: App): AppContext {
  const [locale, setLocaleSignal] = createSignal(chooseLocale(loadPreference('locale'), navigator.languages));
  const [theme, setThemeSignal] = createSignal<Theme>(themeOf(loadPreference('theme')));
  const systemDark = matches('(prefers-color-scheme: dark)');
  const [drawer, setDrawerSignal] = createSignal<Drawer>(null);
  let opener: Element | null = null;
  const [usersOpen, setUsersOpenSignal] = createSignal(loadPreference('users') !== 'closed');
  const [dialog, setDialog] = createSignal<'settings' | 'help' | null>(null);
  const [failedLine, setFailedLine] = createSignal<TypedLine | null>(null);
  const [toasts, setToasts] = createSignal<readonly Toast[]>([]);
  const t = createMemo(() => DICTIONARIES[locale()]);
  const format = createMemo(() => createFormat(locale(), navigator.languages));
  let nextToast = 1;

  createEffect(() => {
    document.documentElement.lang = LANG[locale()];
  });
  createEffect(() => {
    const chosen = theme();
    document.documentElement.dataset.theme = chosen === 'system' ? (systemDark() ? 'dark' : 'light') : chosen;
  });

  const dismiss = (id: number) => setToasts((all) => all.filter((toast) => toast.id !== id));
  return {
    app,
    t,
    format,
    locale,
    setLocale(next) {
      savePreference('locale', next);
      setLocaleSignal(next);
    },
    theme,
    setTheme(next) {
      savePreference('theme', next === 'system' ? null : next);
      setThemeSignal(next);
    },
    roomsInDrawer: matches(ROOMS_DRAWER),
    usersInDrawer: matches(USERS_DRAWER),
    drawer,
    setDrawer(next) {
      if (next === drawer()) return;
      if (drawer() === null) opener = document.activeElement;
      setDrawerSignal(next);
      // Returns the focus to the element that opened the drawer; it was inert until now.
      if (next === null && opener instanceof HTMLElement) opener.focus();
    },
    usersOpen,
    setUsersOpen(open) {
      savePreference('users', open ? null : 'closed');
      setUsersOpenSignal(open);
    },
    dialog,
    setDialog,
    failedLine,
    setFailedLine,
    toasts,
    notify(text, urgent = false) {
      const id = nextToast++;
      setToasts((all) => [...all.filter((toast) => toast.text !== text).slice(-2), { id, text, urgent }]);
      setTimeout(() => dismiss(id), TOAST_TIMEOUT);
    },
    dismiss,
    select<T>(read: () => T): Accessor<T> {
      return createMemo(() => {
        void app.revision;
        return read();
      });
    },
    errorText: (code) => t().error[code],
    roomNameError(fault) {
      const words = t();
      return { empty: words.name.room_empty, too_long: words.name.room_long, character: words.name.room_character, looks_like_id: words.name.room_looks_like_id }[fault];
    },
    userNameError(fault) {
      const words = t();
      return { empty: words.name.user_empty, too_long: words.name.user_long, character: words.name.user_character, looks_like_id: words.name.user_character }[fault];
    },
  };
}

/** A count for narrow places. */
export function capped(count: number): string {
  return count > 99 ? '99+' : `${count}`;
}

function matches(query: string): Accessor<boolean> {
  const media = matchMedia(query);
  const [value, setValue] = createSignal(media.matches);
  listen(media, 'change', () => setValue(media.matches));
  return value;
}

function themeOf(text: string | null): Theme {
  return text === 'light' || text === 'dark' ? text : 'system';
}
